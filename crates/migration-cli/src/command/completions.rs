//! `completions`: a script that completes the program under the words that its user types.
//!
//! Shells complete the first word of a line. Where that is another program, as with `cargo xtask migrate`, the script takes
//! over that program's completion for lines that are ours, and leaves all others to what completed them before.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::arguments::Alone;
use crate::context::Context;
use crate::output::Answer;

pub(super) fn completions(context: &Context, shell: Shell) -> anyhow::Result<Answer> {
    Ok(Answer::script(script(context.program.invocation, shell)?))
}

fn script(invocation: &str, shell: Shell) -> anyhow::Result<String> {
    let words: Vec<&str> = invocation.split(' ').collect();
    let name = words.last().copied().unwrap_or("migrate");
    // The function that is made for bash does not find its subcommands where a name has hyphens.
    let written = if shell == Shell::Bash { name.replace('-', "_") } else { name.to_owned() };
    let mut script = Vec::new();
    generate(shell, &mut Alone::command(), written.as_str(), &mut script);
    let mut script = String::from_utf8(script)?;
    if written != name {
        script = script.replace(&format!("-o default {written}\n"), &format!("-o default {name}\n"));
    }
    if let [program, between @ .., name] = &words[..] {
        script.push_str(&taken_over(program, between, name, shell));
    }
    Ok(script)
}

/// Lines of a script by which `program between… name` is completed as `name` is.
fn taken_over(program: &str, between: &[&str], name: &str, shell: Shell) -> String {
    let n = between.len() + 1;
    let function = format!("_{program}_{}_{name}", between.join("_"));
    let middle = between.join(" ");
    match shell {
        Shell::Bash => format!(
            r#"
{function}_loaded() {{
    {{ _comp_load {program} || _completion_loader {program}; }} 2>/dev/null
    complete -p {program} 2>/dev/null | sed -n 's/.* -F \([^ ]*\).*/\1/p'
}}
{function}_before=$({function}_loaded)
{function}() {{
    if [[ $COMP_CWORD -gt {n} && "${{COMP_WORDS[*]:1:{n}}}" == "{middle} {name}" ]]; then
        COMP_WORDS=("${{COMP_WORDS[@]:{n}}}")
        COMP_CWORD=$((COMP_CWORD - {n}))
        _{name} {name} "$2" "$3"
    elif [[ $COMP_CWORD -eq {n} && "${{COMP_WORDS[*]:1:{between}}}" == "{middle}" ]]; then
        COMPREPLY=($(compgen -W "{name}" -- "$2"))
    elif [[ -n ${function}_before && ${function}_before != {function} ]]; then
        "${function}_before" "$@"
    fi
}}
complete -F {function} -o bashdefault -o default {program}
"#,
            between = between.len(),
        ),
        Shell::Zsh => format!(
            r#"
{function}_before=${{_comps[{program}]-}}
{function}() {{
    if (( CURRENT > {first} )) && [[ "${{words[2,{first}]}}" == "{middle} {name}" ]]; then
        words=("${{(@)words[{first},-1]}}")
        (( CURRENT -= {n} ))
        _{name}
    elif [[ -n ${function}_before && ${function}_before != {function} ]]; then
        "${function}_before" "$@"
    fi
}}
compdef {function} {program}
"#,
            first = n + 1,
        ),
        Shell::Fish => format!(
            r#"
complete -c {program} -n 'string match -q "{program} {middle} {name} *" -- (commandline -pc)' -f -a '(complete -C (string replace "{program} {middle} " "" -- (commandline -pc)))'
"#
        ),
        // They are typed as the program's last word there.
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What real bash offers for the last of these words.
    fn offered(invocation: &str, line: &[&str]) -> Vec<String> {
        let (program, word) = (line[0], line.last().unwrap());
        let before = line.get(line.len() - 2).copied().unwrap_or_default();
        let script = format!(
            "_older() {{ COMPREPLY=(older \"$2\"); }}; complete -F _older {program}\n{}\n\
             COMP_WORDS=({}); COMP_CWORD={}\n\
             function=$(complete -p {program} | sed -n 's/.* -F \\([^ ]*\\).*/\\1/p')\n\
             $function {program} '{word}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
            super::script(invocation, Shell::Bash).unwrap(),
            line.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            line.len() - 1,
        );
        let output = Command::new("bash").args(["--norc", "-c", &script]).output().unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn bash_completes_what_is_typed() {
        for (invocation, line, offers) in [
            ("cargo xtask migrate", &["cargo", "xtask", "migrate", "verif"][..], &["verify"][..]),
            ("cargo xtask migrate", &["cargo", "xtask", "migrate", "db", "st"], &["start", "stop", "status"]),
            ("cargo xtask migrate", &["cargo", "xtask", "migrate", "up", "--contr"], &["--contract"]),
            ("cargo xtask migrate", &["cargo", "xtask", "migr"], &["migrate"]),
            ("cargo xtask migrate", &["cargo", "bui"], &["older", "bui"]),
            ("cargo xtask migrate", &["cargo", "xtask", "bench", "x"], &["older", "x"]),
            ("shop-migration", &["shop-migration", "verif"], &["verify"]),
            ("shop-migration", &["shop-migration", "db", "st"], &["start", "stop", "status"]),
            ("migrate", &["migrate", "status", "--che"], &["--check"]),
        ] {
            assert_eq!(offered(invocation, line), offers, "{line:?}");
        }
    }

    #[test]
    fn other_shells_complete_it_too() {
        for (shell, line) in
            [(Shell::Zsh, "compdef _cargo_xtask_migrate cargo"), (Shell::Fish, "complete -c cargo -n")]
        {
            assert!(script("cargo xtask migrate", shell).unwrap().contains(line), "{shell}");
            assert!(!script("shop-migration", shell).unwrap().contains("cargo"), "{shell}");
        }
    }
}
