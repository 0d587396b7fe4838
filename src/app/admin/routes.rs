//! The keyed routes, as a table, and the way of one request through them: key, role, members,
//! work, audit line.

use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Request, Response};
use axum::routing::on;
use bytes::Bytes;

use super::auth::Caller;
use super::call::{self, Call, Members};
use super::problem::Problem;
use super::reply::Reply;
use super::subject::{self, Subject};
use super::table::{Row, ask, audited, change, get};
use super::{
    Admin, attempts, config, dataset_quality, dead, events, funnel, go_live, holds, issues, lanes,
    limits, lint, openapi, overview, quality, rotate, search, stopped, system, tail, test_mode,
    tokens, verify,
};
use crate::app::letters;
use crate::ingest::encoding;
use crate::ingest::listener::Peer;

/// What a route comes to.
pub(super) type Done = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send>>;

/// One keyed route. A question reads, though it has a body, which it takes as it is; its parameters
/// are in the query.
type Route = Row<Run>;
type Run = fn(Call) -> Done;

const ROUTES: &[Route] = &[
    get("/openapi.json", openapi::show),
    get("/lanes", lanes::list),
    get("/holds", holds::list),
    change("/holds", holds::hold as Run).about(&["pixel", "for"]),
    change("/holds/{id}/release", holds::release),
    get("/dead", dead::list),
    get("/dead/summary", dead::summary),
    get("/dead/export", dead::export as Run)
        .for_admin()
        .audited()
        .about(letters::KEYS),
    get("/dead/{id}", dead::show),
    change("/dead/redrive", dead::redrive as Run).about(letters::CHANGE),
    change("/dead/purge", dead::purge as Run).about(letters::CHANGE),
    get("/tail", tail::show),
    get("/issues", issues::list),
    change("/issues/{id}/acknowledge", issues::acknowledge as Run).about(&["undo"]),
    change("/issues/{id}/mute", issues::mute as Run).about(&["for", "undo"]),
    get("/events/{event_id}", events::find),
    ask("/search", search::search),
    get("/attempts/{pixel}", attempts::list),
    get("/config", config::show),
    change("/config/reload", config::reload),
    get("/limits", limits::show),
    get("/system", system::show),
    get("/tokens", tokens::list),
    change("/tokens/rotate", rotate::rotate as Run).about(&["pixel", "dry_run", "force"]),
    change("/tokens/{id}/verify", verify::ask),
    get("/overview", overview::show),
    get("/funnel", funnel::show),
    get("/stopped", stopped::list),
    get("/quality", quality::show),
    get("/quality/meta", dataset_quality::show),
    ask("/lint", lint::look),
    get("/go-live/{pixel}", go_live::show),
    get("/test-mode", test_mode::list),
    change("/test-mode", test_mode::start as Run).about(&["pixel", "for", "mirror"]),
    change("/test-mode/stop", test_mode::stop as Run).about(&["pixel"]),
];

/// Method and path of every keyed route, for whoever compares them with the description.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES
        .iter()
        .map(|route| (route.method.as_str(), route.path))
}

/// All keyed routes of `admin`.
pub(super) fn router(admin: &Admin) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let admin = admin.clone();
        let answer = move |path: PathResult, request: Request<Body>| {
            answer(admin.clone(), route, path, request)
        };
        router = router.route(route.path, on(route.filter(), answer));
    }
    router
        .fallback(async || Problem::no_route().into_response())
        .method_not_allowed_fallback(async || Problem::method().into_response())
}

type PathResult = Result<Path<Vec<(String, String)>>, PathRejection>;

async fn answer(
    admin: Admin,
    route: &'static Route,
    path: PathResult,
    request: Request<Body>,
) -> Response<Body> {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let let_in = {
        let keys = &admin.0.in_force().secrets.admin;
        let now = admin.0.clock.now();
        admin.0.guard.admit(keys, request.headers(), peer, now)
    };
    let caller = match let_in {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let is_audited = route.is_audited;
    let by = caller.clone();
    let (now, then) = (admin.clone(), admin);
    let subject = Subject::default();
    let about = subject.clone();
    let work = async move { work(now, route, &about, &by, path, request).await };
    let result = if is_audited {
        let outcome = |reply: &Reply| (reply.status, reply.changed);
        audited(&then, route.path, subject, caller, peer, work, outcome).await
    } else {
        work.await
    };
    result.map_or_else(Problem::into_response, Reply::into_response)
}

async fn work(
    admin: Admin,
    route: &Route,
    about: &Subject,
    caller: &Caller,
    path: PathResult,
    request: Request<Body>,
) -> Result<Reply, Problem> {
    route.admit(caller)?;
    let path = path.map_err(|_| Problem::bad("the path", "send UTF-8 with percent-encoding"))?;
    let id = path.0.into_iter().next().map(|(_, id)| id);
    let query = Members::of_query(request.uri().query().unwrap_or_default())?;
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    let encodings = encoding::encodings(request.headers());
    let mut body = Bytes::new();
    let members = if route.is_question() {
        body = call::read(request.into_body()).await?;
        query
    } else if route.method == Method::GET {
        query
    } else {
        query.end()?;
        Members::of_body(request.into_body()).await?
    };
    let id = id.unwrap_or_default();
    if route.is_audited {
        about.note(subject::of(&id, &members, route.about));
    }
    let call = Call {
        admin,
        id,
        members,
        content_type,
        encodings,
        body,
        by: caller.name.clone(),
    };
    (route.run)(call).await
}
