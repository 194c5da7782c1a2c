//! Public addresses behind a reverse proxy that serves the API under a path of its own.

use serde_json::json;
use url::Url;

use super::{World, ask, bare};

/// Each base, how the bytes of its path begin every path, and the whole address without a slash at its end.
const BASES: [(&str, &str, &str); 4] = [
    ("https://x.example", "", "https://x.example"),
    ("https://x.example/", "", "https://x.example"),
    ("https://x.example/vpn", "/vpn", "https://x.example/vpn"),
    ("https://x.example/vpn/", "/vpn", "https://x.example/vpn"),
];

#[tokio::test(start_paused = true)]
async fn every_address_that_an_answer_gives_carries_the_path_of_the_proxy() {
    for (base, prefix, whole) in BASES {
        let world = World::new();
        world.lock().public_url = base.to_owned();
        let router = world.router();

        world.declare("AB123456", |_| {});
        let config = ask("GET", "/user/AB123456/config").of(&router).await.json();
        let link = config["subscription_url"].as_str().unwrap().to_owned();
        assert!(link.starts_with(&format!("{whole}/sub/ab123456.")), "{base}: {link}");
        let page = bare("GET", link.strip_prefix(whole).unwrap())
            .header("accept", "text/html")
            .of(&router)
            .await;
        assert_eq!(page.status, 200, "{base}: {}", page.text);
        assert!(page.text.contains(&link), "{base}: {}", page.text);

        let unknown = ask("GET", "/nothing").of(&router).await.problem(404);
        assert!(unknown.contains(&format!(" {prefix}/docs lists")), "{base}: {unknown}");

        world.lock().lag = true;
        let grant = json!({ "corporate_id": "CD123456" });
        let accepted = ask("POST", "/access/grant").json(&grant).of(&router).await;
        assert_eq!(accepted.status, 202, "{base}: {}", accepted.text);
        let see = format!("{prefix}/user/CD123456");
        assert_eq!(accepted.header("location"), see, "{base}");
        assert_eq!(accepted.json()["see"], see, "{base}");
    }
}

#[tokio::test]
async fn the_page_of_the_documentation_calls_the_api_under_the_path_of_the_proxy() {
    for (base, prefix, whole) in BASES {
        let world = World::new();
        world.lock().public_url = base.to_owned();
        let router = world.router();
        // As a browser finds its way: from the redirect to the page, to the document, to the server named in it.
        let at = |path: &str| Url::parse(&format!("{whole}{path}")).unwrap();
        let page = at("/docs")
            .join(bare("GET", "/docs").of(&router).await.header("location"))
            .unwrap();
        assert_eq!(page.as_str(), format!("{whole}/docs/"));
        let document = page.join("../openapi.json").unwrap();
        assert_eq!(document.as_str(), format!("{whole}/openapi.json"));
        let served = bare("GET", "/openapi.json").of(&router).await.json();
        let server = served["servers"][0]["url"].as_str().unwrap();
        let root = document.join(server).unwrap();
        assert_eq!(root.as_str().trim_end_matches('/'), whole, "{base}");
        assert_eq!(server.trim_end_matches('/'), prefix, "{base}");
        assert_eq!(served["servers"].as_array().unwrap().len(), 1);
    }
}
