//! The benchmarks still run, however long they take: a figure of the README is worth as much as the command that shows it.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn short_benchmarks_run_and_write_their_report() {
    let bench = Path::new(env!("CARGO_BIN_EXE_bench"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    drop(fs::remove_dir_all(&out));
    let output = Command::new(bench)
        .args(["cold", "nothing", "--repeat", "1", "--programs"])
        .arg(bench.parent().unwrap())
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for row in
        ["100 migrations, 5 services", "`up` with nothing to do", "sessions and statements of `status`"]
    {
        assert!(printed.contains(&format!("| {row} |")), "{row}: {printed}");
    }
    let report = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(report.ends_with(printed.split_once("## `cold`").unwrap().1), "{report}");
    let n_bars = fs::read_to_string(out.join("ratios.svg")).unwrap().matches("<rect").count();
    assert_eq!(n_bars, 3, "one of `cold`, two of `nothing`");
}

#[test]
fn a_tool_that_is_not_there_is_skipped_with_a_word() {
    let bench = Path::new(env!("CARGO_BIN_EXE_bench"));
    let output = Command::new(bench)
        .args(["peers", "--repeat", "1", "--programs"])
        .arg(bench.parent().unwrap())
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("peers: no `pgroll` on PATH: skipped"), "{said}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("| sea-orm-migration alone: 100 migrations |"), "{printed}");
    assert!(!printed.contains("pgroll"), "{printed}");
}
