//! A listener whose routes are exchanged while it listens: probes have to be answered before the operator may act.

use std::{convert::Infallible, sync::Arc};

use arc_swap::ArcSwap;
use axum::{Router, extract::Request};
use tower::{ServiceExt as _, service_fn};

/// Routes that can be exchanged.
#[derive(Clone)]
pub struct SwappableRouter(Arc<ArcSwap<Router>>);

impl SwappableRouter {
    /// Begins with these routes.
    pub fn new(router: Router) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(router)))
    }

    /// Requests from now on go to these routes.
    pub fn set(&self, router: Router) {
        self.0.store(Arc::new(router));
    }

    /// What a listener serves.
    pub fn router(&self) -> Router {
        let routes = Arc::clone(&self.0);
        Router::new().fallback_service(service_fn(move |request: Request| {
            let router = Router::clone(&routes.load());
            async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
        }))
    }
}
