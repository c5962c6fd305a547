//! The routes, and what every answer has: what it may be embedded in, and that nobody keeps it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use crate::health::{Health, Verdict};
use crate::metrics;
use crate::readiness::Readiness;
use crate::watch::Watch;

/// The longest path and query that is looked at, in bytes.
const LONGEST: usize = 2048;

/// What browsers are to do with every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
];

/// What could not be asked in time.
pub(crate) const NO_ANSWER: &str = "the databases did not answer in time";

/// `/health/migrations`, `/healthz`, `/readyz` and `/metrics`. They take `GET` and `HEAD`, and change nothing.
pub fn router(watch: Arc<Watch>) -> Router {
    Router::new()
        .route("/health/migrations", get(health))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(measured))
        .layer(middleware::from_fn(guard))
        .with_state(watch)
}

/// Refuses what no route is meant for, and tells browsers how to treat every answer.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let length = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let mut response = if length > LONGEST {
        (StatusCode::URI_TOO_LONG, "the address is too long\n").into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// 503 for what is wrong or not known, so that a probe need not read the document.
async fn health(State(watch): State<Arc<Watch>>) -> Response {
    let look = watch.look().await;
    let health = look.map_or_else(|| Health::unknown(NO_ANSWER), |seen| Health::of(&seen.look));
    let code = if health.status == Verdict::Error { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, Json(health)).into_response()
}

async fn ready(State(watch): State<Arc<Watch>>) -> Response {
    let unknown = || Readiness { ready: false, reasons: vec![NO_ANSWER.to_owned()] };
    let readiness = watch.look().await.map_or_else(unknown, |seen| Readiness::of(&seen.look));
    let code = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness)).into_response()
}

async fn measured(State(watch): State<Arc<Watch>>) -> Response {
    let seen = watch.look().await;
    let drift = watch.drift.get();
    let text = metrics::metrics(seen.as_ref().map(|seen| &seen.look), drift.as_ref());
    ([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], text).into_response()
}
