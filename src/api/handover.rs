//! Links that are handed over: addresses that open one person's page so many times, for so long.
//!
//! | Request | Answer |
//! |---|---|
//! | `POST /user/{id}/links` [`NewHandover`] | 201 [`HandedOver`]; 404 where nobody is declared |
//! | `GET /user/{id}/links` | 200 [`Handovers`]: those that can be opened |
//! | `DELETE /user/{id}/links/{link}` | 204, also when it was withdrawn before; 404 |

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A link is made, for somebody who hands it over.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHandover {
    /// How long it is good, like `30m` or `24h`: from a minute to 30 days (`720h`); 24 hours when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, example = "24h")]
    pub ttl: Option<String>,
    /// How many times it opens the page: 1 to 20; once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 20)]
    pub uses: Option<u32>,
    /// Why, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A link that opens one person's page. Its address is shown here and nowhere else.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct HandedOver {
    /// Its number, by which it is listed and withdrawn.
    pub id: i64,
    /// Its address. Whoever has it may open the page.
    pub url: String,
    /// The person.
    pub corporate_id: String,
    /// First moment at which it is good no more.
    #[schema(value_type = String, format = DateTime)]
    pub valid_until: Timestamp,
    /// How many times it opens the page.
    pub uses: u32,
    /// Why the person has no access at present: `Held`, `Expired`, … They see that in place of the page, which uses nothing up. Null
    /// where they have access.
    pub denied: Option<String>,
}

impl std::fmt::Debug for HandedOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandedOver")
            .field("id", &self.id)
            .field("corporate_id", &self.corporate_id)
            .field("valid_until", &self.valid_until)
            .finish_non_exhaustive()
    }
}

/// A link that opens one person's page, without what opens it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Handover {
    /// Its number.
    pub id: i64,
    /// Who made it, in the words of the audit.
    pub made_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub made_at: Timestamp,
    /// First moment at which it is good no more.
    #[schema(value_type = String, format = DateTime)]
    pub valid_until: Timestamp,
    /// How many times it opens the page in all.
    pub uses: u32,
    /// How many times it opens the page still.
    pub uses_left: u32,
    /// When it was opened last; null while it was not.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub opened_at: Option<Timestamp>,
}

/// Links that open one person's page at present.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Handovers {
    /// The links, newest first; at most 100.
    pub links: Vec<Handover>,
}
