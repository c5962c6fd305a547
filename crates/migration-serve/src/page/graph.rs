//! The graph of requirements, drawn: a lane per service, a sign per migration, a line from what is required to what requires
//! it. The same is listed in words below, for those who do not see it.

use std::collections::{HashMap, HashSet};

use maud::{Markup, html};
use migration_plan::Phase;
use migration_report::{GraphRequirement, GraphService, MigrationReport, MigrationState};

use super::View;
use super::text::counted;

/// Lanes with more migrations than this have those folded that are applied and need no line.
const FOLDED_FROM: usize = 14;

/// The most lanes that are drawn.
const LANES: usize = 40;

/// Up to so many services, each has a lane; of more, those that require something of each other.
const ALL_LANES: usize = 12;

/// Distances, in pixels.
const COLUMN: usize = 46;
const LANE: usize = 44;
const LABEL: usize = 128;
const MARGIN: usize = 26;

/// A sign in the drawing: a migration, or several that follow each other.
struct Sign<'g> {
    lane: usize,
    column: usize,
    migrations: Vec<&'g MigrationReport>,
}

/// Everything that is drawn.
struct Drawing<'g> {
    /// Services of which a session holds the migration lock: what they have begun, they are in.
    running: HashSet<&'g str>,
    lanes: Vec<&'g str>,
    signs: Vec<Sign<'g>>,
    /// From one sign to another.
    lines: Vec<(usize, usize)>,
    n_columns: usize,
}

pub(super) fn of(view: &View<'_>) -> Markup {
    let requirements = &view.graph.requirements;
    let services = lanes(&view.graph.services, requirements);
    let n_left_out = view.graph.services.len() - services.len();
    let mut drawing = Drawing::of(&services, requirements, &view.histories.migrations);
    let running = view.look.status.services.iter().filter(|service| service.lock.is_some());
    drawing.running = running.map(|service| service.name.as_str()).collect();
    html! {
        section aria-labelledby="h-graph" {
            h2 #h-graph { "Migrations and what they require" }
            div.card.padded {
                div.drawing tabindex="0" role="region" aria-labelledby="h-graph" { (drawing.svg()) }
                ul.legend {
                    li { (sample("applied", false)) "applied" }
                    li { (sample("pending", false)) "pending" }
                    li { (sample("held", false)) "held back" }
                    li { (sample("run", false)) "under way" }
                    li { (sample("wrong", false)) "not as it should be" }
                    li { (sample("unknown", true)) "contract step" }
                }
                @if n_left_out > 0 {
                    p.faint { (counted(n_left_out, "service is", "services are")) " not drawn." }
                }
                @if requirements.is_empty() {
                    p.faint { "No migration requires one of another service." }
                } @else {
                    details #requirements {
                        summary { (counted(requirements.len(), "requirement", "requirements")) " in words" }
                        ul.plain { @for of in requirements {
                            li { code { (of.migration) } " requires " code { (of.requires) } }
                        } }
                    }
                }
            }
        }
    }
}

/// The services that get a lane.
fn lanes<'g>(services: &'g [GraphService], requirements: &[GraphRequirement]) -> Vec<&'g GraphService> {
    let ends = || requirements.iter().flat_map(|of| [&of.migration, &of.requires]);
    let named: HashSet<&str> = ends().filter_map(|id| Some(id.split_once(':')?.0)).collect();
    let is_drawn =
        |service: &&GraphService| services.len() <= ALL_LANES || named.contains(service.name.as_str());
    services.iter().filter(is_drawn).take(LANES).collect()
}

impl<'g> Drawing<'g> {
    fn of(
        services: &[&'g GraphService],
        requirements: &[GraphRequirement],
        migrations: &'g [MigrationReport],
    ) -> Self {
        let ends: HashSet<(&str, &str)> = requirements
            .iter()
            .flat_map(|of| [&of.migration, &of.requires])
            .filter_map(|id| id.split_once(':'))
            .collect();
        let mut signs: Vec<Sign<'g>> = Vec::new();
        let mut places: HashMap<(&str, &str), usize> = HashMap::new();
        for (lane, service) in services.iter().enumerate() {
            let of_service: Vec<&MigrationReport> =
                migrations.iter().filter(|migration| migration.service == service.name).collect();
            let is_folded = |migration: &MigrationReport| {
                of_service.len() > FOLDED_FROM
                    && migration.state == MigrationState::Applied
                    && !ends.contains(&(service.name.as_str(), migration.migration.as_str()))
            };
            for migration in &of_service {
                let before = signs.last_mut().filter(|sign| {
                    sign.lane == lane
                        && is_folded(migration)
                        && sign.migrations.iter().all(|before| is_folded(before))
                });
                match before {
                    Some(sign) => sign.migrations.push(migration),
                    None => signs.push(Sign { lane, column: 0, migrations: vec![migration] }),
                }
                places.insert((&migration.service, &migration.migration), signs.len() - 1);
            }
        }
        let place = |id: &str| places.get(&id.split_once(':')?).copied();
        let lines: Vec<(usize, usize)> = requirements
            .iter()
            .filter_map(|of| Some((place(&of.requires)?, place(&of.migration)?)))
            .collect();
        let mut drawing = Self {
            running: HashSet::new(),
            lanes: services.iter().map(|service| service.name.as_str()).collect(),
            signs,
            lines,
            n_columns: 1,
        };
        drawing.set_columns();
        drawing
    }

    /// Puts each sign behind the one before it in its lane and behind what it requires.
    fn set_columns(&mut self) {
        // Each round moves at least one sign to where it stays, and there is no circle among requirements.
        for _ in 0..self.signs.len() {
            let mut is_settled = true;
            let mut at_least = |signs: &mut Vec<Sign<'_>>, sign: usize, column: usize| {
                if signs[sign].column < column {
                    signs[sign].column = column;
                    is_settled = false;
                }
            };
            for sign in 1..self.signs.len() {
                if self.signs[sign - 1].lane == self.signs[sign].lane {
                    let column = self.signs[sign - 1].column + 1;
                    at_least(&mut self.signs, sign, column);
                }
            }
            for (required, dependent) in &self.lines {
                let column = self.signs[*required].column + 1;
                at_least(&mut self.signs, *dependent, column);
            }
            if is_settled {
                break;
            }
        }
        self.n_columns = self.signs.iter().map(|sign| sign.column + 1).max().unwrap_or(1);
    }

    fn svg(&self) -> Markup {
        let (width, height) = (LABEL + MARGIN + self.n_columns * COLUMN, MARGIN + self.lanes.len() * LANE);
        let x = |sign: &Sign<'_>| LABEL + MARGIN + sign.column * COLUMN;
        let y = |lane: usize| MARGIN + lane * LANE;
        let says = format!(
            "{} of {}, with {}",
            counted(self.signs.iter().map(|sign| sign.migrations.len()).sum(), "migration", "migrations"),
            counted(self.lanes.len(), "service", "services"),
            counted(self.lines.len(), "requirement", "requirements"),
        );
        html! {
            svg width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(says) {
                defs {
                    marker #arrow viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto" {
                        path.arrow d="M0 0 L8 4 L0 8 z" {}
                    }
                }
                @for (lane, name) in self.lanes.iter().enumerate() {
                    @let of_lane: Vec<&Sign<'_>> = self.signs.iter().filter(|sign| sign.lane == lane).collect();
                    text.label x=(LABEL) y=(y(lane) + 4) text-anchor="end" { (short(name)) title { (name) } }
                    @if let (Some(first), Some(last)) = (of_lane.first(), of_lane.last()) {
                        line.lane x1=(x(first)) y1=(y(lane)) x2=(x(last)) y2=(y(lane)) {}
                    }
                }
                @for (required, dependent) in &self.lines {
                    @let (from, to) = (&self.signs[*required], &self.signs[*dependent]);
                    path.need d=(curve((x(from), y(from.lane)), (x(to), y(to.lane)))) marker-end="url(#arrow)" {}
                }
                @for sign in &self.signs { (self.drawn(sign, x(sign), y(sign.lane))) }
            }
        }
    }

    fn drawn(&self, sign: &Sign<'_>, x: usize, y: usize) -> Markup {
        let first = sign.migrations[0];
        let is_running = self.running.contains(first.service.as_str());
        let state = match first.state {
            MigrationState::StoppedMidway if is_running => "under way".to_owned(),
            state => state.to_string(),
        };
        let class = match first.state {
            MigrationState::Applied => "applied",
            MigrationState::Pending => "pending",
            MigrationState::HeldBack => "held",
            MigrationState::Ahead => "ahead",
            MigrationState::StoppedMidway if is_running => "run",
            MigrationState::Unknown => "unknown",
            _ => "wrong",
        };
        html! {
            g class={ "sign " (class) } {
                title {
                    @if let [one] = &sign.migrations[..] {
                        (one.service) ":" (one.migration) " – " (state)
                        @if let Some(says) = &one.description { ". " (says) }
                    } @else {
                        (counted(sign.migrations.len(), "migration", "migrations")) ", all applied"
                    }
                }
                @if sign.migrations.len() > 1 {
                    rect x=(x - 15) y=(y - 9) width="30" height="18" rx="9" {}
                    text.folded x=(x) y=(y + 4) text-anchor="middle" { "+" (sign.migrations.len()) }
                } @else { (shape(x, y, matches!(first.phase, Some(Phase::Contract { .. })))) }
            }
        }
    }
}

/// A line that leaves to the right and arrives from the left, as far from both as their signs are large.
fn curve(from: (usize, usize), to: (usize, usize)) -> String {
    let (x1, x2) = (from.0 + 9, to.0 - 11);
    let middle = usize::midpoint(x1, x2);
    format!("M{x1} {} C{middle} {} {middle} {} {x2} {}", from.1, from.1, to.1, to.1)
}

/// A circle; of a contract step, a diamond.
fn shape(x: usize, y: usize, is_contract: bool) -> Markup {
    html! {
        @if is_contract {
            path d={ "M" (x - 9) " " (y) " L" (x) " " (y - 9) " L" (x + 9) " " (y) " L" (x) " " (y + 9) " z" } {}
        } @else {
            circle cx=(x) cy=(y) r="7" {}
        }
    }
}

fn sample(class: &str, is_contract: bool) -> Markup {
    html! {
        svg width="20" height="20" aria-hidden="true" { g class={ "sign " (class) } { (shape(10, 10, is_contract)) } }
    }
}

/// A name that fits before its lane.
fn short(name: &str) -> String {
    const FITS: usize = 16;
    if name.chars().count() <= FITS {
        return name.to_owned();
    }
    name.chars().take(FITS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migration(service: &str, name: &str) -> MigrationReport {
        MigrationReport {
            service: service.to_owned(),
            migration: name.to_owned(),
            phase: None,
            state: MigrationState::Applied,
            applied_at: None,
            replaces: Vec::new(),
            description: None,
        }
    }

    fn lane(name: &str) -> GraphService {
        GraphService { name: name.to_owned(), migrations: Vec::new() }
    }

    fn need(migration: &str, requires: &str) -> GraphRequirement {
        GraphRequirement { migration: migration.to_owned(), requires: requires.to_owned() }
    }

    #[test]
    fn what_is_required_is_left_of_what_requires_it_and_long_lanes_are_folded() {
        let names: Vec<String> = (0..20).map(|n| format!("m{n}")).collect();
        let mut migrations: Vec<MigrationReport> = names.iter().map(|name| migration("a", name)).collect();
        migrations.extend(["n0", "n1"].map(|name| migration("b", name)));
        let services = [lane("a"), lane("b")];
        let requirements = [need("a:m10", "b:n1"), need("b:n0", "a:m2")];
        let drawing = Drawing::of(&services.iter().collect::<Vec<_>>(), &requirements, &migrations);
        let found: Vec<(usize, usize, usize)> =
            drawing.signs.iter().map(|sign| (sign.lane, sign.column, sign.migrations.len())).collect();
        // m0-1 · m2 · m3-9 · m10 · m11-19; n0 behind m2, n1, and m10 behind n1.
        assert_eq!(found, [(0, 0, 2), (0, 1, 1), (0, 2, 7), (0, 4, 1), (0, 5, 9), (1, 2, 1), (1, 3, 1)]);
        assert_eq!(drawing.lines, [(6, 3), (1, 5)]);
    }

    #[test]
    fn of_many_services_those_are_drawn_that_require_something() {
        let services: Vec<GraphService> = (0..100).map(|n| lane(&format!("s{n}"))).collect();
        let drawn = lanes(&services, &[need("s70:m", "s3:m")]);
        assert_eq!(drawn.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["s3", "s70"]);
    }
}
