//! What a confined command cannot do.

use super::super::{Confinement, Exit, Job};
use super::{finish, line, run, status};

/// T3: a confined command cannot gain privileges.
#[test]
fn no_new_privileges() {
    run(async || {
        let mut plan = line("exec sleep 1000");
        let job = Job::start(&plan).unwrap();
        let before = status(std::process::id(), "NoNewPrivs");
        assert_eq!(status(job.pid(), "NoNewPrivs"), before);
        plan.confinement.no_new_privileges = true;
        let job = Job::start(&plan).unwrap();
        assert!(job.confinement().no_new_privileges);
        assert_eq!(status(job.pid(), "NoNewPrivs"), "1");
    });
}

/// T3: a scoped command cannot signal a process outside its own tree, but one within; we and no
/// other process are confined, and we can still signal it.
#[test]
fn scoped() {
    run(async || {
        let outside = std::process::id();
        let mut plan = line(&format!(
            "sleep 1000 & kill -0 {outside} && echo reached; kill -TERM $! && wait $!; echo $?"
        ));
        let (stdout, ..) = finish(Job::start(&plan).unwrap()).await;
        assert_eq!(stdout, "reached\n143\n");

        plan.confinement = Confinement { no_new_privileges: true, scoped: true };
        let job = Job::start(&plan).unwrap();
        if !job.confinement().scoped {
            assert!(std::env::var_os("CI").is_none(), "needs Landlock's scopes, Linux 6.12");
            println!("skipped: this kernel has no Landlock scopes");
            return;
        }
        assert_eq!(job.confinement(), plan.confinement);
        let (stdout, stderr, _) = finish(job).await;
        assert_eq!(stdout, "143\n");
        assert!(stderr.to_lowercase().contains("not permitted"), "{stderr}");

        let (stdout, ..) =
            finish(Job::start(&line(&format!("kill -0 {outside}; echo $?"))).unwrap()).await;
        assert_eq!(stdout, "0\n");
        let mut held = line("exec sleep 1000");
        held.confinement = plan.confinement;
        let mut job = Job::start(&held).unwrap();
        job.signal(15).unwrap();
        assert_eq!(job.wait().await.unwrap(), Exit::Signal { number: 15, core: false });
    });
}
