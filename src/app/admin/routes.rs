//! The keyed routes, as a table, and the way of one request through them: key, role, members,
//! work, audit line.

use std::net::IpAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Request, Response, StatusCode};
use axum::routing::{MethodFilter, on};
use bytes::Bytes;

use super::auth::Caller;
use super::call::{self, Call, Members};
use super::problem::Problem;
use super::reply::Reply;
use super::{
    Admin, attempts, config, dataset_quality, dead, events, funnel, go_live, holds, issues, lanes,
    limits, lint, openapi, overview, quality, rotate, search, system, tail, test_mode, tokens,
    verify,
};
use crate::config::Role;
use crate::ingest::encoding;
use crate::ingest::listener::Peer;

/// What a route comes to.
pub(super) type Done = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send>>;

/// One keyed route. GET reads, and needs any key; POST changes, and needs one of `admin.keys`,
/// unless the route says otherwise.
struct Route {
    method: Method,
    path: &'static str,
    run: fn(Call) -> Done,
    /// Leaves a line in the log: what changes something, and what hands out events as stored.
    is_audited: bool,
    /// Reads, though it has a body, which it takes as it is; its parameters are in the query.
    is_raw: bool,
}

const ROUTES: &[Route] = &[
    get("/openapi.json", openapi::show),
    get("/lanes", lanes::list),
    get("/holds", holds::list),
    post("/holds", holds::hold),
    post("/holds/{id}/release", holds::release),
    get("/dead", dead::list),
    get("/dead/summary", dead::summary),
    Route {
        method: Method::GET,
        path: "/dead/export",
        run: dead::export,
        is_audited: true,
        is_raw: false,
    },
    get("/dead/{id}", dead::show),
    post("/dead/redrive", dead::redrive),
    post("/dead/purge", dead::purge),
    get("/tail", tail::show),
    get("/issues", issues::list),
    post("/issues/{id}/acknowledge", issues::acknowledge),
    post("/issues/{id}/mute", issues::mute),
    get("/events/{event_id}", events::find),
    Route {
        method: Method::POST,
        path: "/search",
        run: search::search,
        is_audited: false,
        is_raw: true,
    },
    get("/attempts/{pixel}", attempts::list),
    get("/config", config::show),
    post("/config/reload", config::reload),
    get("/limits", limits::show),
    get("/system", system::show),
    get("/tokens", tokens::list),
    post("/tokens/rotate", rotate::rotate),
    post("/tokens/{id}/verify", verify::ask),
    get("/overview", overview::show),
    get("/funnel", funnel::show),
    get("/quality", quality::show),
    get("/quality/meta", dataset_quality::show),
    Route {
        method: Method::POST,
        path: "/lint",
        run: lint::look,
        is_audited: false,
        is_raw: true,
    },
    get("/go-live/{pixel}", go_live::show),
    get("/test-mode", test_mode::list),
    post("/test-mode", test_mode::start),
    post("/test-mode/stop", test_mode::stop),
];

const fn get(path: &'static str, run: fn(Call) -> Done) -> Route {
    Route {
        method: Method::GET,
        path,
        run,
        is_audited: false,
        is_raw: false,
    }
}

const fn post(path: &'static str, run: fn(Call) -> Done) -> Route {
    Route {
        method: Method::POST,
        path,
        run,
        is_audited: true,
        is_raw: false,
    }
}

/// Method and path of every keyed route, for whoever compares them with the description.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES
        .iter()
        .map(|route| (route.method.as_str(), route.path))
}

impl Route {
    fn role(&self) -> Role {
        if self.method == Method::GET || self.is_raw {
            Role::View
        } else {
            Role::Admin
        }
    }
}

/// All keyed routes of `admin`.
pub(super) fn router(admin: &Admin) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let admin = admin.clone();
        let filter = if route.method == Method::GET {
            MethodFilter::GET
        } else {
            MethodFilter::POST
        };
        let answer = move |path: PathResult, request: Request<Body>| {
            answer(admin.clone(), route, path, request)
        };
        router = router.route(route.path, on(filter, answer));
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
    if !route.is_audited {
        return respond(work(admin, route, &caller, path, request).await);
    }
    // to its end and its line in the log, also when the caller hangs up
    let tasks = admin.0.tasks.clone();
    // taken before the question, so that the one who closes them waits for this
    let _under_way = tasks.token();
    if tasks.is_closed() {
        return Problem::stopping().into_response();
    }
    let work = async move {
        let started = Instant::now();
        let result = work(admin, route, &caller, path, request).await;
        let outcome = match &result {
            Ok(reply) => Ok((reply.status, reply.changed)),
            Err(problem) => Err(problem),
        };
        audit(route.path, &caller, peer, outcome, started.elapsed());
        respond(result)
    };
    let done = tasks.spawn(work).await;
    done.unwrap_or_else(|_| Problem::failed("panic", "see the log").into_response())
}

fn respond(result: Result<Reply, Problem>) -> Response<Body> {
    result.map_or_else(Problem::into_response, Reply::into_response)
}

/// One line in the log: who asked for what, and what came of it.
pub(super) fn audit(
    path: &'static str,
    caller: &Caller,
    peer: Option<IpAddr>,
    outcome: Result<(StatusCode, Option<u64>), &Problem>,
    took: Duration,
) {
    let (status, outcome, changed) = match outcome {
        Ok((status, changed)) => (status, "ok", changed),
        Err(problem) => (problem.status, problem.code, None),
    };
    tracing::info!(
        admin.route = path,
        admin.key = caller.name,
        admin.fingerprint = caller.fingerprint,
        admin.role = caller.role.code(),
        admin.peer = peer.map(tracing::field::display),
        admin.outcome = outcome,
        admin.changed = changed,
        status = status.as_u16(),
        duration_ms = took.as_millis() as u64,
        "admin call"
    );
}

async fn work(
    admin: Admin,
    route: &Route,
    caller: &Caller,
    path: PathResult,
    request: Request<Body>,
) -> Result<Reply, Problem> {
    if caller.role < route.role() {
        return Err(Problem::view_only());
    }
    let path = path.map_err(|_| Problem::bad("the path", "send UTF-8 with percent-encoding"))?;
    let id = path.0.into_iter().next().map(|(_, id)| id);
    let query = Members::of_query(request.uri().query().unwrap_or_default())?;
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    let encodings = encoding::encodings(request.headers());
    let mut body = Bytes::new();
    let members = if route.is_raw {
        body = call::read(request.into_body()).await?;
        query
    } else if route.method == Method::GET {
        query
    } else {
        query.end()?;
        Members::of_body(request.into_body()).await?
    };
    let call = Call {
        admin,
        id: id.unwrap_or_default(),
        members,
        content_type,
        encodings,
        body,
        by: caller.name.clone(),
    };
    (route.run)(call).await
}
