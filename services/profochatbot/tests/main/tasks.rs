//! The tasks after the migrations: safe to repeat, and telling what they changed.

use profochatbot_migration::task::{
    AddFirstOwner, BotToken, FirstOwnerAdded, OwnerChange, SetBotToken, TaskError, TokenChange,
    add_first_owner, issue_public_tokens, set_bot_token,
};

use crate::support::realistic;

fn token_of(bot: &str, token: &str) -> SetBotToken {
    SetBotToken {
        account: "default".to_owned(),
        bot: bot.to_owned(),
        token: BotToken::new(token).expect("it has no blanks"),
    }
}

#[tokio::test]
async fn a_token_is_set_once_and_belongs_to_one_bot() {
    let scratch = realistic().await;
    scratch.up_contract().await;
    let db = scratch.db();
    let set = set_bot_token(db, &token_of("bot-1", "1:secret\n")).await.unwrap();
    assert_eq!(set.change, TokenChange::Set);
    let stored = "SELECT bot_name, bot_token FROM bot WHERE bot_token IS NOT NULL";
    assert_eq!(scratch.rows(stored).await, ["bot-1|1:secret"]);

    let again = set_bot_token(db, &token_of("bot-1", "1:secret")).await.unwrap();
    assert_eq!((again.bot_id, again.change), (set.bot_id, TokenChange::Unchanged));
    let other = set_bot_token(db, &token_of("bot-1", "2:other")).await.unwrap();
    assert_eq!(other.change, TokenChange::Replaced);

    let taken = set_bot_token(db, &token_of("bot-2", "2:other")).await.unwrap_err();
    assert!(matches!(taken, TaskError::TokenTaken { .. }));
    let unknown = set_bot_token(db, &token_of("bot-99", "3:x")).await.unwrap_err();
    assert!(matches!(unknown, TaskError::UnknownBot { .. }));
    let nobody = SetBotToken { account: "nobody".to_owned(), ..token_of("bot-1", "3:x") };
    assert!(matches!(set_bot_token(db, &nobody).await.unwrap_err(), TaskError::UnknownAccount { .. }));
    assert_eq!(scratch.rows(stored).await, ["bot-1|2:other"]);
}

#[test]
fn a_token_shows_itself_to_nobody() {
    let task = token_of("bot-1", "1:secret");
    let shown = format!("{task:?}");
    assert!(!shown.contains("secret"), "{shown}");
    for malformed in ["", " \n", "1:se cret", "1:se\ncret"] {
        assert!(matches!(BotToken::new(malformed), Err(TaskError::MalformedToken)), "{malformed:?}");
    }
}

#[tokio::test]
async fn an_account_has_one_first_owner() {
    let scratch = realistic().await;
    scratch.up_contract().await;
    let owner = |telegram_user_id, name: Option<&str>| AddFirstOwner {
        account: "default".to_owned(),
        telegram_user_id,
        telegram_username: name.map(str::to_owned),
    };
    let db = scratch.db();
    let FirstOwnerAdded { account_member_id, change } =
        add_first_owner(db, &owner(7_000_000_000, Some("anna"))).await.unwrap();
    assert_eq!(change, OwnerChange::Added);
    for same in [Some("anna"), None] {
        let again = add_first_owner(db, &owner(7_000_000_000, same)).await.unwrap();
        assert_eq!(again, FirstOwnerAdded { account_member_id, change: OwnerChange::Unchanged });
    }
    let renamed = add_first_owner(db, &owner(7_000_000_000, Some("anna2"))).await.unwrap();
    assert_eq!(renamed, FirstOwnerAdded { account_member_id, change: OwnerChange::Renamed });
    scratch.execute("UPDATE account_member SET role = 'member'").await;
    let promoted = add_first_owner(db, &owner(7_000_000_000, None)).await.unwrap();
    assert_eq!(promoted, FirstOwnerAdded { account_member_id, change: OwnerChange::Promoted });
    let second = add_first_owner(db, &owner(8, Some("ben"))).await.unwrap_err();
    assert!(matches!(second, TaskError::HasOwner { telegram_user_id: 7_000_000_000, .. }));
    assert_eq!(
        scratch
            .rows(
                "SELECT account_id, telegram_user_id, telegram_username, role, is_active FROM account_member"
            )
            .await,
        ["1|7000000000|anna2|owner|t"]
    );
}

#[tokio::test]
async fn public_tokens_are_issued_once_and_cannot_be_guessed() {
    let scratch = realistic().await;
    scratch.up_contract().await;
    let db = scratch.db();
    let first = issue_public_tokens(db).await.unwrap();
    assert_eq!((first.issued.len(), first.n_unchanged), (20, 0));
    for issued in &first.issued {
        assert_eq!(issued.token.len(), 43);
        assert!(
            issued.token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            "{}",
            issued.token
        );
        assert!(issued.course_id.starts_with("course-") && issued.bot.starts_with("bot-"));
    }
    assert_eq!(
        scratch.rows("SELECT count(DISTINCT token), count(DISTINCT deployment_id) FROM enrollment_token WHERE token_type = 'public'").await,
        ["20|20"]
    );
    let again = issue_public_tokens(db).await.unwrap();
    assert_eq!((again.issued.len(), again.n_unchanged), (0, 20));

    // A token that is switched off, expired or used up is none.
    scratch
        .execute(
            "UPDATE enrollment_token SET is_active = FALSE WHERE deployment_id = 1;
             UPDATE enrollment_token SET expires_at = '2020-01-01' WHERE deployment_id = 2;
             UPDATE enrollment_token SET max_uses = 3, current_uses = 3 WHERE deployment_id = 3;",
        )
        .await;
    let anew = issue_public_tokens(db).await.unwrap();
    assert_eq!(anew.issued.iter().map(|issued| issued.deployment_id).collect::<Vec<_>>(), [1, 2, 3]);
}

/// Two that issue at once take turns: the second one finds the tokens of the first.
#[tokio::test]
async fn public_tokens_are_issued_once_by_two_at_once() {
    let scratch = realistic().await;
    scratch.up_contract().await;
    let (one, other) = tokio::join!(issue_public_tokens(scratch.db()), issue_public_tokens(scratch.db()));
    assert_eq!(one.unwrap().issued.len() + other.unwrap().issued.len(), 20);
    assert_eq!(scratch.rows("SELECT count(*) FROM enrollment_token").await, ["20"]);
}
