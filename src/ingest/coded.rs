//! The request options of events, with the test code that the server or the client wants.

use std::sync::Arc;

use crate::journal::RequestOptions;
use crate::pixel::PixelId;
use crate::test_mode::TestMode;
use crate::time::UnixMs;

/// What events for one pixel travel with.
pub struct Coded {
    /// The options of the events.
    pub options: Arc<RequestOptions>,
    /// Those of a copy of each, where there is to be one.
    pub mirror: Option<Arc<RequestOptions>>,
    /// The request brought a code that its source may not bring.
    pub left_out: bool,
}

impl Coded {
    /// For events of `source` for `pixel` that arrive at `now`; `options` are those of the request.
    pub fn of(
        test_mode: &TestMode,
        pixel: PixelId,
        source: &str,
        mut options: RequestOptions,
        now: UnixMs,
    ) -> Self {
        let client = options.test_event_code.take();
        let choice = test_mode.choose(pixel, source, client, now);
        let mirror = choice.mirror.map(|code| RequestOptions {
            test_event_code: Some(code),
            ..options.clone()
        });
        options.test_event_code = choice.code;
        Self {
            options: Arc::new(options),
            mirror: mirror.map(Arc::new),
            left_out: choice.left_out,
        }
    }
}
