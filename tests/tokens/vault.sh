vault_care() { :; }
last_words() { :; }
