//! Who and what there is at the simulated Meta.

/// Two apps, a business with three system users, a strict business, a person with pages.
pub(super) const WORLD: &str = r#"
[[apps]]
id = "1000000000000001"
secret = "c3a91f5b7e02d846b95f1c7e3a0d6284"
name = "Shop events"
business = "2000000000000001"
redirect_uris = ["https://gate.example/callback"]
[[apps]]
id = "1000000000000002"
secret = "5be1f7a92c4d80366f92ab41d7c0e853"
name = "Other"
require_proof = true
[[businesses]]
id = "2000000000000001"
name = "Shop Inc."
[[businesses]]
id = "2000000000000002"
name = "Strict Inc."
must_expire = true
[[people]]
id = "3000000000000001"
name = "Alex Example"
businesses = ["2000000000000001", "2000000000000002"]
pixels = ["1234567890123456", "2222222222222222"]
[[people.pages]]
id = "4000000000000001"
tasks = ["MANAGE", "ADVERTISE"]
[[people.pages]]
id = "4000000000000002"
tasks = ["ANALYZE"]
withhold_token = true
[[people]]
id = "3000000000000002"
name = "Kim Example"
[[pages]]
id = "4000000000000001"
name = "Shop"
[[pages]]
id = "4000000000000002"
name = "Watched only"
[[system_users]]
id = "61550000000001"
name = "Gateway"
role = "ADMIN"
business = "2000000000000001"
apps = ["1000000000000001", "1000000000000002"]
pixels = ["1234567890123456", "2222222222222222"]
[[system_users]]
id = "61550000000002"
name = "Helper"
business = "2000000000000001"
[[system_users]]
id = "61550000000003"
name = "Strict"
business = "2000000000000002"
[[pixels]]
id = "1234567890123456"
name = "Shop website"
business = "2000000000000001"
last_fired_time = "2026-11-29T10:00:00+0000"
[[pixels]]
id = "2222222222222222"
name = "Second shop"
business = "2000000000000001"
[[pixels]]
id = "3333333333333333"
name = "Broken"
unavailable = true
"#;
