//! A pixel, read.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::fields;
use super::people::unreachable;
use super::refusal as no;
use super::registry::Registry;
use crate::pixel::PixelId;
use crate::sandbox::graph_error::GraphError;

/// The fields of a pixel Meta's own libraries know and this sandbox can be asked for.
const FIELDS: [&str; 17] = [
    "automatic_matching_fields",
    "can_proxy",
    "code",
    "creation_time",
    "data_use_setting",
    "enable_automatic_matching",
    "first_party_cookie_status",
    "id",
    "is_created_by_business",
    "is_crm",
    "is_restricted_use",
    "is_unavailable",
    "last_fired_time",
    "name",
    "owner_ad_account",
    "owner_business",
    "user_access_expire_time",
];

impl Registry {
    pub(super) fn pixel(&self, call: &Call, now: i64) -> Result<Value, Box<GraphError>> {
        let token = self.holder(call, now)?;
        let id = call.asked.subject.parse::<PixelId>();
        let Some(id) = id.ok().filter(|id| self.reaches(&token, *id)) else {
            return Err(unreachable(call));
        };
        if !token.has_one_of(&self.world.needs.pixel) {
            return Err(GraphError::boxed(&no::READ_PERMISSION));
        }
        fields::pick(call, &["name"], &FIELDS, &self.pixel_object(id))
    }

    fn pixel_object(&self, id: PixelId) -> Map<String, Value> {
        let known = self.world.pixel(id);
        let name = known.map_or_else(|| format!("Pixel {id}"), |pixel| pixel.name.clone());
        let mut object = Map::new();
        object.insert("id".into(), json!(id));
        object.insert("name".into(), name.into());
        let unavailable = known.is_some_and(|pixel| pixel.unavailable);
        object.insert("is_unavailable".into(), unavailable.into());
        object.insert(
            "data_use_setting".into(),
            "ADVERTISING_AND_ANALYTICS".into(),
        );
        object.insert("enable_automatic_matching".into(), false.into());
        object.insert(
            "first_party_cookie_status".into(),
            "FIRST_PARTY_COOKIE_ENABLED".into(),
        );
        let Some(pixel) = known else {
            return object;
        };
        object.insert(
            "is_created_by_business".into(),
            pixel.business.is_some().into(),
        );
        let business = pixel
            .business
            .as_ref()
            .and_then(|id| self.world.business(id));
        if let Some(business) = business {
            let owner = json!({ "id": business.id, "name": business.name });
            object.insert("owner_business".into(), owner);
        }
        for (name, time) in [
            ("last_fired_time", &pixel.last_fired_time),
            ("creation_time", &pixel.creation_time),
        ] {
            if let Some(time) = time {
                object.insert(name.into(), time.clone().into());
            }
        }
        object
    }
}
