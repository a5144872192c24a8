//! What a DELETE does to an object (kubernetes `registry/generic/registry/store.go`, `registry/core/pod/strategy.go`).

use std::sync::Arc;

use jiff::Timestamp;

use crate::api::pod::facts;
use crate::api::{Kind, Object, meta, namespace, well_known};

/// What becomes of the objects that the deleted one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// It goes at once, they go later.
    Background,
    /// They go first.
    Foreground,
    /// They stay, without it as their owner.
    Orphan,
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Seconds; the object's own default if absent.
    pub grace: Option<i64>,
    pub propagation: Option<Propagation>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Deletion {
    /// Nothing holds it: remove it.
    Remove,
    /// Something must happen first: write this version, which says so.
    Mark(Object),
    /// It is being deleted already, and this changes nothing.
    Unchanged,
}

/// Seconds that a pod gets when nobody says otherwise.
const DEFAULT_GRACE: i64 = 30;

pub fn delete(object: &Object, options: &Options, now: Timestamp) -> Deletion {
    let mut marked = object.clone();
    let grace = grace(object, options);
    let is_held = match &mut marked {
        Object::Namespace(namespace) if !meta::is_deleting(&namespace.metadata) => {
            namespace::begin_deletion(Arc::make_mut(namespace));
            true
        }
        Object::Namespace(namespace) => namespace::is_held(namespace),
        _ => false,
    };
    let meta = marked.meta_mut();
    if let Some(propagation) = options.propagation {
        // Events own nothing, so nothing has to go or stay before them. Of a namespace all goes, and first.
        let owns_nothing = matches!(object.kind(), Kind::Event | Kind::Namespace);
        set_propagation(meta, if owns_nothing { Propagation::Background } else { propagation });
    }
    let has_finalizers = meta.finalizers.as_ref().is_some_and(|f| !f.is_empty());
    if grace == 0 && !has_finalizers && !is_held {
        return Deletion::Remove;
    }
    let earlier = meta.deletion_timestamp.as_ref().map(|_| meta.deletion_grace_period_seconds.unwrap_or(0));
    // A later deletion may shorten the grace period and never prolongs it.
    if earlier.is_none_or(|earlier| grace < earlier) {
        meta.deletion_timestamp = Some(meta::time(meta::add_seconds(now, grace)));
        meta.deletion_grace_period_seconds = Some(grace);
        if let Some(generation) = &mut meta.generation {
            *generation += 1;
        }
    }
    if marked == *object { Deletion::Unchanged } else { Deletion::Mark(marked) }
}

/// Whether nothing is left that the deletion of the object waits for: written so, it is gone.
pub fn is_over(object: &Object) -> bool {
    let meta = object.meta();
    meta::is_deleting(meta)
        && meta.finalizers.as_ref().is_none_or(Vec::is_empty)
        && meta.deletion_grace_period_seconds.unwrap_or(0) == 0
        && !matches!(object, Object::Namespace(namespace) if namespace::is_held(namespace))
}

/// The object as it is written to remove it by an update, which is refused if there has been another version since.
pub fn over(object: &Object, now: Timestamp) -> Object {
    let mut over = object.clone();
    let meta = over.meta_mut();
    meta.finalizers = None;
    meta.deletion_timestamp.get_or_insert_with(|| meta::time(now));
    meta.deletion_grace_period_seconds = Some(0);
    over
}

/// Only pods are given time: those that a node may be running.
fn grace(object: &Object, options: &Options) -> i64 {
    let Object::Pod(pod) = object else { return 0 };
    if facts::node(pod).is_none() || facts::is_finished(pod) {
        return 0;
    }
    let own = || pod.spec.as_ref().and_then(|s| s.termination_grace_period_seconds);
    match options.grace.or_else(own).unwrap_or(DEFAULT_GRACE) {
        // Kubernetes takes what is less than nothing for a slip, and not for haste.
        less if less < 0 => 1,
        grace => grace,
    }
}

fn set_propagation(meta: &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta, propagation: Propagation) {
    meta::remove_finalizer(meta, well_known::FINALIZER_ORPHAN);
    meta::remove_finalizer(meta, well_known::FINALIZER_FOREGROUND);
    let finalizer = match propagation {
        Propagation::Background => return,
        Propagation::Foreground => well_known::FINALIZER_FOREGROUND,
        Propagation::Orphan => well_known::FINALIZER_ORPHAN,
    };
    meta.finalizers.get_or_insert_default().push(finalizer.to_owned());
}

/// The propagation that applies when the request names none: what an earlier request chose, else the kind's own.
/// Jobs of `batch/v1` are the one kind whose dependents are orphaned by default.
pub fn default_propagation(object: &Object) -> Propagation {
    let has = |finalizer| meta::has_finalizer(object.meta(), finalizer);
    if has(well_known::FINALIZER_ORPHAN) {
        Propagation::Orphan
    } else if has(well_known::FINALIZER_FOREGROUND) {
        Propagation::Foreground
    } else if object.kind() == Kind::Job {
        Propagation::Orphan
    } else {
        Propagation::Background
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::batch::v1::Job;
    use k8s_openapi::api::core::v1::{Pod, PodSpec};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn placed_pod() -> Object {
        let spec = PodSpec { node_name: Some("n".to_owned()), ..PodSpec::default() };
        Pod { spec: Some(spec), ..Pod::default() }.into()
    }

    fn with(grace: Option<i64>, propagation: Option<Propagation>) -> Options {
        Options { grace, propagation }
    }

    #[test]
    fn a_placed_pod_gets_its_grace_period_which_later_deletions_only_shorten() {
        let Deletion::Mark(first) = delete(&placed_pod(), &Options::default(), at(100)) else { panic!() };
        assert_eq!(first.meta().deletion_grace_period_seconds, Some(30));
        assert_eq!(first.meta().deletion_timestamp.as_ref().unwrap().0, at(130));
        assert_eq!(delete(&first, &with(Some(40), None), at(101)), Deletion::Unchanged);
        let Deletion::Mark(second) = delete(&first, &with(Some(5), None), at(102)) else { panic!() };
        assert_eq!(second.meta().deletion_timestamp.as_ref().unwrap().0, at(107));
        assert_eq!(delete(&second, &with(Some(0), None), at(103)), Deletion::Remove);
        let Deletion::Mark(hasty) = delete(&placed_pod(), &with(Some(-5), None), at(100)) else { panic!() };
        assert_eq!(hasty.meta().deletion_grace_period_seconds, Some(1));
    }

    #[test]
    fn a_pod_that_no_node_runs_goes_at_once() {
        assert_eq!(delete(&Pod::default().into(), &Options::default(), at(0)), Deletion::Remove);
    }

    #[test]
    fn a_finalizer_keeps_an_object_that_is_being_deleted() {
        let mut job: Object = Job::default().into();
        job.meta_mut().finalizers = Some(vec!["a/b".to_owned()]);
        let Deletion::Mark(marked) = delete(&job, &Options::default(), at(7)) else { panic!() };
        assert_eq!(marked.meta().deletion_timestamp.as_ref().unwrap().0, at(7));
        assert_eq!(delete(&marked, &Options::default(), at(8)), Deletion::Unchanged);
    }

    #[test]
    fn a_namespace_waits_for_its_contents() {
        let mut namespace: Object = k8s_openapi::api::core::v1::Namespace::default().into();
        let options = with(None, Some(Propagation::Foreground));
        let Deletion::Mark(marked) = delete(&namespace, &options, at(7)) else { panic!() };
        assert_eq!((marked.meta().finalizers.as_ref(), is_over(&marked)), (None, false));
        assert_eq!(delete(&marked, &options, at(8)), Deletion::Unchanged);
        namespace = marked;
        if let Object::Namespace(namespace) = &mut namespace {
            namespace::release(Arc::make_mut(namespace));
        }
        assert!(is_over(&namespace));
        assert_eq!(delete(&namespace, &options, at(9)), Deletion::Remove);
    }

    #[test]
    fn a_pod_may_own_something_too() {
        let pod = Pod::default().into();
        assert_eq!(delete(&pod, &with(None, Some(Propagation::Background)), at(0)), Deletion::Remove);
        let orphaning = delete(&pod, &with(None, Some(Propagation::Orphan)), at(0));
        assert!(matches!(orphaning, Deletion::Mark(marked) if default_propagation(&marked) == Propagation::Orphan));
    }

    #[test]
    fn propagation_is_a_finalizer_and_a_new_one_replaces_the_old() {
        let job: Object = Job::default().into();
        let Deletion::Mark(orphan) = delete(&job, &with(None, Some(Propagation::Orphan)), at(0)) else { panic!() };
        assert_eq!(default_propagation(&orphan), Propagation::Orphan);
        let Deletion::Mark(fg) = delete(&orphan, &with(None, Some(Propagation::Foreground)), at(0)) else { panic!() };
        assert_eq!(fg.meta().finalizers.as_deref(), Some(&[well_known::FINALIZER_FOREGROUND.to_owned()][..]));
        assert_eq!(delete(&fg, &with(None, Some(Propagation::Background)), at(0)), Deletion::Remove);
        assert_eq!(default_propagation(&job), Propagation::Orphan);
    }
}
