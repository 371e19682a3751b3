//! The pages by their paths: [`router`].

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};

use super::access_rules::add_security_headers;
use super::event_page;
use super::health_page::health;
use super::image_page::life;
use super::page_error::{ErrorTemplate, PageError};
use super::page_frame::PageFrame;
use super::page_query::PageQuery;
use super::page_request::{
    EVENT_PATH, IMAGE_PATH, JSON_PATH, PageContent, PageRequest, SEARCH_PATH, TASK_PATH,
};
use super::page_runner::QueryKind;
use super::page_selection::PageSelection;
use super::page_text::PageText;
use super::search_page::search;
use super::site::Site;
use super::static_files::{ICON, ICON_PATH, STYLE, STYLE_PATH};
use super::stuck_page::stuck;
use super::usage_page::{storage, transfers};

/// Returns the pages of a site. All of them answer `GET` and `HEAD` only.
///
/// # Examples
///
/// ```
/// use glance_notify_cli::web::{Site, router};
///
/// let pages = router(Site::new("/var/lib/glance-notify/archive".as_ref()));
/// # drop(pages);
/// ```
pub fn router(site: Site) -> Router {
    let site = Arc::new(site);
    Router::new()
        .route("/", get(|| async { redirect(SEARCH_PATH) }))
        .route(SEARCH_PATH, page(SEARCH_PATH, QueryKind::Lookup, search))
        .route(IMAGE_PATH, page(IMAGE_PATH, QueryKind::Lookup, life))
        .route(TASK_PATH, page(TASK_PATH, QueryKind::Lookup, life))
        .route(EVENT_PATH, page(EVENT_PATH, QueryKind::Lookup, event_page::event))
        .route(JSON_PATH, page(JSON_PATH, QueryKind::Lookup, event_page::json))
        .route("/stuck", page("/stuck", QueryKind::Report, stuck))
        .route("/transfers", page("/transfers", QueryKind::Report, transfers))
        .route("/storage", page("/storage", QueryKind::Report, storage))
        .route("/health", page("/health", QueryKind::Report, health))
        .route(&STYLE_PATH, get(|| async { file("text/css; charset=utf-8", STYLE) }))
        .route(ICON_PATH, get(|| async { file("image/svg+xml", ICON) }))
        .fallback(not_found)
        .layer(from_fn_with_state(Arc::clone(&site), guard))
        .with_state(site)
}

/// A function from a request to the content of a page. It may block.
type PageFunction = fn(&PageRequest<'_>) -> Result<PageContent, PageError>;

/// Returns the route of a page.
fn page(path: &'static str, kind: QueryKind, function: PageFunction) -> MethodRouter<Arc<Site>> {
    get(move |State(site): State<Arc<Site>>, uri: Uri| async move {
        let asked = match PageQuery::parse(uri.query().unwrap_or_default()) {
            Ok(asked) => asked,
            Err(message) => {
                return error_page(
                    &site,
                    &PageQuery::default(),
                    path,
                    &PageError::invalid(message),
                );
            }
        };
        let (running, kept) = (Arc::clone(&site), asked.clone());
        let make = move || {
            let selection = PageSelection::new(&asked, &running);
            let query = selection.valid(&asked);
            let request = PageRequest { site: &running, path, asked, query, selection };
            function(&request).map_err(|error| (error, request.query))
        };
        match site.runner.run(kind, site.deadline, make).await {
            Ok(Ok(content)) => response(content),
            Ok(Err((error, query))) => error_page(&site, &query, path, &error),
            Err(failure) => error_page(&site, &kept, path, &PageError::from(failure)),
        }
    })
}

/// Checks each request, and adds the security headers to each response.
async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut response = match site.access.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refused(&PageError::from(refusal)),
    };
    add_security_headers(response.headers_mut());
    response
}

/// Returns the response to a request that may see nothing, not even the name of the archive.
fn refused(error: &PageError) -> Response {
    let mut response = response(PageContent {
        status: error.status,
        content_type: "text/plain; charset=utf-8",
        body: format!("{}: {}\n", error.title, PageText::new(&error.message)).into_bytes(),
    });
    if error.status == StatusCode::UNAUTHORIZED {
        let challenge =
            HeaderValue::from_static("Basic realm=\"glance-notify\", charset=\"UTF-8\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

async fn not_found(State(site): State<Arc<Site>>, uri: Uri) -> Response {
    let message = format!("There is no page {}.", PageText::new(uri.path()));
    error_page(&site, &PageQuery::default(), SEARCH_PATH, &PageError::not_found(message))
}

/// Returns the page of an error, with the navigation of the page that failed.
fn error_page(site: &Site, query: &PageQuery, path: &'static str, error: &PageError) -> Response {
    let frame = PageFrame::new(site, query, path, PageText::new(error.title));
    let message = PageText::up_to(&error.message, 2000);
    let template = ErrorTemplate { frame: &frame, message };
    match PageContent::page(error.status, &template) {
        Ok(content) => response(content),
        Err(error) => refused(&error),
    }
}

/// Returns the response with a content that no cache keeps: the archive may grow, and erase.
fn response(content: PageContent) -> Response {
    let headers = [(CONTENT_TYPE, content.content_type), (CACHE_CONTROL, "no-store")];
    (content.status, headers, content.body).into_response()
}

/// Returns the response with a file of the program.
fn file(content_type: &'static str, text: &'static str) -> Response {
    let cache = "private, max-age=31536000, immutable";
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, cache)], text).into_response()
}

fn redirect(path: &'static str) -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, path)]).into_response()
}
