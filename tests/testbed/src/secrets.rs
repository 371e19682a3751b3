//! Samples of text and JSON with a planted secret, one for each rule of redaction.
//!
//! Only one rule catches each sample; a test in `notify-core` proves it. So a test that plants all
//! samples fails if any rule is missing.

use serde_json::{Map, Value, json};

/// The planted secret.
pub const SECRET: &str = "hUnTeR2-s3cr3t";

/// Keys whose values redaction masks.
pub const MASKED_KEYS: &[&str] = &[
    "password",
    "OS_PASSWORD",
    "db_passwd",
    "passphrase",
    "Pass-Code",
    "pswd",
    "adminPass",
    "new_pass",
    "userPass",
    "s3_store_secret_id",
    "auth_token",
    "credentials",
    "private-key",
    "encrypted_key",
    "ssl_key",
    "sshKey",
    "fernet_key",
    "api.key",
    "access-key",
    "AWSAccessKeyId",
    "account_key",
    "shared key",
    "session_id",
    "config_drive",
    "bearer",
    "X-Auth-Key",
    "HTTP_X_STORAGE_PASS",
    "X-Account-Meta-Temp-URL-Key",
    "user_data",
    "psk",
    "connection_info",
    "provider_auth",
];

/// Keys that redaction removes, together with their values.
pub const REMOVED_KEYS: &[&str] = &[
    "location",
    "locations",
    "direct_url",
    "X-Auth-Token",
    "X-Subject-Token",
    "X-Service-Token",
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "Set-Cookie",
    "HTTP_AUTHORIZATION",
    "HTTP_COOKIE",
];

/// Returns texts that contain [`SECRET`] as a credential or a signature.
pub fn texts() -> Vec<String> {
    TEXTS.iter().map(|text| text.replace("{}", SECRET)).collect()
}

/// Returns a JSON object with every sample, at the top and in nested values.
pub fn tree() -> Map<String, Value> {
    let keys = MASKED_KEYS.iter().chain(REMOVED_KEYS);
    let shapes = [json!(SECRET), json!([SECRET]), json!({ "user": "u", "value": [SECRET] })];
    let entries =
        keys.zip(shapes.iter().cycle()).map(|(key, value)| ((*key).into(), value.clone()));
    let mut tree: Map<String, Value> = entries.collect();
    tree.insert("texts".into(), texts().into());
    tree.insert("deep".into(), json!([[{ "er": tree.clone() }]]));
    tree
}

/// The texts, with `{}` in the place of the secret.
const TEXTS: &[&str] = &[
    "swift+https://acct:user:{}@auth.example/c/o",
    "https://{}@host/",
    "cannot open https://u:{}@h/x: refused, then ftp://u:{}@h",
    "http://u:SE/{}@h/",
    "http://u:SE {}@h/",
    "http://u:SE'{}\"@h/",
    "https://h/?next=https://u:{}@g/",
    "https://h/?next=https%3A%2F%2Fu%3A{}%40g",
    "https://h/?pass%77ord={}",
    "https://h/#access_token={}",
    "https://h/o;token={};x=1",
    "https://h/?a=1&sig={}&b=2",
    "https://h/?signature={}",
    "https://h/x?X-Amz-Signature={}&a=1",
    "https://h/x?X-Goog-Signature={}",
    "https://h/?temp_url_sig={}",
    "https://h/?auth={}",
    "https://h/?key={}",
    "https://h/?pass={}",
    "https://h/?pwd={}",
    "https://h/?code={}",
];
