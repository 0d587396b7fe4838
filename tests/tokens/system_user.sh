system_user_guide() { :; }
