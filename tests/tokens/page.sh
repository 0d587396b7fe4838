page_guide() { :; }
