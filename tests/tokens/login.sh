login_guide() { :; }
