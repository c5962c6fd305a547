//! The frame of the page: what is the same whatever was found.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use migration_report::timestamp;

use super::{Rendered, headline};

/// The parts, in their order.
const PARTS: [&str; 8] =
    [headline::PART, "figures", "run", "services", "drift", "graph", "rejects", "history"];

/// The whole page. `base` leads to what it loads.
pub(super) fn of(page: &Rendered, base: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) }
                link rel="icon" type="image/svg+xml" href={ (base) "icon.svg" };
                link rel="stylesheet" href={ (base) "style.css" };
                // Where no script keeps it up to date.
                noscript { meta http-equiv="refresh" content="5"; }
                script src={ (base) "live.js" } defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    h1 { "Migrations" }
                    p.live #live {
                        @if page.now > 0 { "as of " (&timestamp(page.now)[11..19]) " UTC" }
                        noscript { ", reloaded every 5 seconds" }
                    }
                }
                main #main data-events={ (base) "events" } data-id=(page.id) data-now=(page.now) {
                    @for name in PARTS {
                        @let content = PreEscaped(page.part(name).unwrap_or_default());
                        // Read aloud to those who do not see it, when it changes.
                        @if name == headline::PART {
                            div id=(name) role="status" aria-live="polite" { (content) }
                        } @else {
                            div id=(name) { (content) }
                        }
                    }
                }
                footer {
                    p { "Read-only. Times are UTC unless they say how long ago. Written by migrate " (env!("CARGO_PKG_VERSION")) "." }
                }
            }
        }
    }
}
