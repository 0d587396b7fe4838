//! Mail: what the server gets, in clear and encrypted, and what its answers mean.

use tokio::net::TcpListener;

use super::*;

const PASSWORD: &str = "canary-password-0123";

/// In clear, without a login.
pub(super) fn settings(port: u16) -> email::Settings {
    email::Settings {
        host: "127.0.0.1".to_owned(),
        port,
        tls: email::Tls::None,
        login: None,
        from: "capigate <gate@shop.example>".parse().unwrap(),
        to: vec![
            "ops@shop.example".parse().unwrap(),
            "Jane <jane@shop.example>".parse().unwrap(),
        ],
        hello: Some("gate.shop.example".to_owned()),
    }
}

/// One test alert to a server that speaks `script`; what the client said, and what came of it.
async fn tested(
    change: impl Fn(&mut Settings, &mut email::Settings),
    script: impl Fn(&str) -> Option<&'static str> + Copy,
) -> (Result<(), ChannelError>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut mail = settings(listener.local_addr().unwrap().port());
    let mut common = super::settings();
    change(&mut common, &mut mail);
    let tls = mail.tls;
    common.email = Some(mail);
    let served = async {
        let (stream, _) = listener.accept().await.unwrap();
        if tls == email::Tls::Wrapped {
            return match server::acceptor().accept(stream).await {
                Ok(stream) => chat(stream, true, script).await.0,
                Err(_) => Vec::new(),
            };
        }
        let (mut said, upgrade) = chat(stream, true, script).await;
        if let Some(stream) = upgrade
            && let Ok(stream) = server::acceptor().accept(stream).await
        {
            said.extend(chat(stream, false, script).await.0);
        }
        said
    };
    let alerts = alerts(common, None);
    tokio::join!(alerts.tested(), served)
}

fn with_login(_: &mut Settings, mail: &mut email::Settings) {
    mail.login = Some(("gate".to_owned(), secret(PASSWORD)));
}

#[tokio::test]
async fn a_mail_has_its_headers_and_its_words() {
    let (came, said) = Box::pin(tested(with_login, |_| None)).await;
    came.unwrap();
    assert_eq!(said[0], "EHLO gate.shop.example");
    assert!(said[1].starts_with("AUTH PLAIN "), "{said:?}");
    assert_eq!(
        said[2..6],
        [
            "MAIL FROM:<gate@shop.example>",
            "RCPT TO:<ops@shop.example>",
            "RCPT TO:<jane@shop.example>",
            "DATA"
        ]
    );
    assert_eq!(said.last().unwrap(), "QUIT");
    let has = |head: &str| said.iter().any(|line| line.starts_with(head));
    for head in [
        "From: capigate <gate@shop.example>",
        "To: ops@shop.example, Jane <jane@shop.example>",
        "Subject: [capigate] info: this is a test alert (shop-eu)",
        "Date: Sun, 22 Nov 2026 00:00:00 +0000",
        "Auto-Submitted: auto-generated",
        "gateway: shop-eu",
        "What to do:",
    ] {
        assert!(has(head), "{head}: {said:#?}");
    }
    let id = said
        .iter()
        .find_map(|line| line.strip_prefix("Message-ID: <"));
    assert!(id.unwrap().ends_with("@shop.example>"), "{id:?}");
}

#[tokio::test]
async fn both_ways_of_tls_want_a_trusted_certificate() {
    for tls in [email::Tls::StartTls, email::Tls::Wrapped] {
        let refused = |_: &mut Settings, mail: &mut email::Settings| {
            with_login(&mut super::settings(), mail);
            mail.tls = tls;
        };
        let (came, said) = Box::pin(tested(refused, |_| None)).await;
        let error = came.unwrap_err();
        assert_eq!(error.code(), "certificate", "{tls:?}: {error:?}");
        assert!(
            error.to_string().contains("no authority that is trusted"),
            "{error}"
        );
        assert!(
            !said.iter().any(|line| line.starts_with("AUTH")),
            "{said:?}"
        );

        let trusted = |common: &mut Settings, mail: &mut email::Settings| {
            refused(common, mail);
            common.roots = vec![certificate()];
        };
        let (came, said) = Box::pin(tested(trusted, |_| None)).await;
        came.unwrap();
        assert_eq!(said.last().unwrap(), "QUIT", "{tls:?}");

        // it was issued for 127.0.0.1
        let other_name = |common: &mut Settings, mail: &mut email::Settings| {
            trusted(common, mail);
            mail.host = "localhost".to_owned();
        };
        let (came, _) = Box::pin(tested(other_name, |_| None)).await;
        let error = came.unwrap_err();
        assert!(
            error.to_string().contains("another name"),
            "{tls:?}: {error}"
        );
    }
}

#[tokio::test]
async fn faults_say_what_to_do_and_hold_no_password() {
    type Answer = fn(&str) -> Option<&'static str>;
    let login = with_login as fn(&mut Settings, &mut email::Settings);
    let starttls = |_: &mut Settings, mail: &mut email::Settings| mail.tls = email::Tls::StartTls;
    let on = |word: &'static str, answer: &'static str| {
        move |said: &str| (said == word).then_some(answer)
    };
    let bare = "250 mail.example";
    let (came, said) = Box::pin(tested(starttls, on("EHLO", bare))).await;
    assert_eq!(came.unwrap_err(), ChannelError::NoStartTls);
    assert_eq!(said.len(), 1, "nothing more was said in clear: {said:?}");
    let (came, _) = Box::pin(tested(login, on("EHLO", bare))).await;
    assert_eq!(came.unwrap_err(), ChannelError::NoLogin);

    let rows: [(Answer, &str, bool); 7] = [
        (
            |w| (w == "AUTH").then_some("535 5.7.8 no canary-password-0123"),
            "login",
            true,
        ),
        (|w| (w == "AUTH").then_some("454 later"), "login", false),
        (
            |w| (w == "MAIL").then_some("550 5.7.1 not with canary-password-0123"),
            "reply",
            true,
        ),
        (
            |w| (w == "RCPT").then_some("450 4.2.0 greylisted"),
            "reply",
            false,
        ),
        (|w| (w == "DATA").then_some("554 no"), "reply", true),
        (
            |w| (w == "greeting").then_some("421 too many"),
            "reply",
            false,
        ),
        (
            |w| (w == "greeting").then_some("HTTP/1.1 400 Bad Request"),
            "broken",
            false,
        ),
    ];
    for (script, code, is_final) in rows {
        let (came, _) = Box::pin(tested(login, script)).await;
        let error = came.unwrap_err();
        assert_eq!(
            (error.code(), error.is_final()),
            (code, is_final),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_never_stops_talking_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut common = super::settings();
    common.email = Some(settings(listener.local_addr().unwrap().port()));
    let served = async {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut sent = 0;
        while stream.write_all(&[b'a'; 4096]).await.is_ok() {
            sent += 4096;
        }
        sent
    };
    let alerts = alerts(common, None);
    let (came, sent) = tokio::join!(alerts.tested(), served);
    assert_eq!(came.unwrap_err(), ChannelError::Broken(Channel::Email));
    assert!(sent < 16 << 20, "{sent}");
}
