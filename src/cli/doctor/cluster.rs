//! Checks of the cluster that desired state lives in: definitions, permissions, the lease, the replicas.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt as _, future::join_all, stream};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
        coordination::v1::Lease,
        core::v1::Secret,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, PostParams},
};
use secrecy::SecretString;
use serde::Deserialize;

use super::Finding;
use crate::{
    cli::{nodes::Gateways, run::Cluster},
    config::{Components, Config},
    credentials::{SecretLookup, Sources},
    model::{Kind, gateway::VpnGateway, secret_source::SecretKeyRef},
};

/// Reviews that are asked for at the same time.
const AT_ONCE: usize = 8;

/// Pods that only answer logins, as the chart labels them.
const REPLICAS: &str = "app.kubernetes.io/name=vpn-operator,app.kubernetes.io/component=auth";

/// What each component may do, which the chart installs as it stands.
const CONTROLLER: &str = include_str!("../../../charts/vpn-operator/files/rules/controller.yaml");
const AUTH: &str = include_str!("../../../charts/vpn-operator/files/rules/auth.yaml");

/// What was found in the cluster.
pub(super) struct InCluster {
    pub(super) findings: Vec<Finding>,
    /// The declared gateways, with a way to their secrets; `None` when they cannot be read.
    pub(super) gateways: Option<Gateways>,
}

/// Looks at the cluster.
pub(super) async fn look(config: &Config) -> InCluster {
    const NAME: &str = "cluster";
    let cluster = match Cluster::infer(config).await {
        Ok(cluster) => cluster,
        Err(error) => {
            let advice = "run it in the operator's pod (kubectl exec), or with a kubeconfig";
            return InCluster {
                findings: vec![Finding::failed(NAME, error.to_string(), advice)],
                gateways: None,
            };
        }
    };
    let gateways: Api<VpnGateway> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let (definitions, permissions, lease, replicas, gateways) = tokio::join!(
        join_all(Kind::ALL.map(|kind| definition(&cluster, kind))),
        permissions(&cluster, config.cluster.components),
        lease(&cluster),
        replicas(&cluster),
        async { gateways.list(&ListParams::default()).await.ok() },
    );
    let mut findings = definitions;
    findings.push(permissions);
    findings.push(lease);
    findings.push(replicas);
    let lookup = Arc::new(Secrets(Api::namespaced(cluster.client.clone(), &cluster.namespace)));
    let sources = Sources::cluster(&config.state.data_dir, lookup);
    InCluster {
        findings,
        gateways: gateways.map(|list| Gateways::declared_in_cluster(list.items, sources)),
    }
}

fn is_refused(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403))
}

fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// A kind is defined, and as this version of the operator defines it.
async fn definition(cluster: &Cluster, kind: Kind) -> Finding {
    let name = format!("definition of {}", kind.as_str());
    let install = "vpn-operator crds | kubectl apply --server-side -f -";
    let wanted = kind.definition();
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    match definitions.get(&wanted.name_any()).await {
        Ok(found)
            if found
                .spec
                .versions
                .iter()
                .map(schema)
                .eq(wanted.spec.versions.iter().map(schema)) =>
        {
            Finding::ok(name, "is installed, as this version has it")
        }
        Ok(_) => Finding::warning(
            name,
            "is that of another version of vpn-operator: fields may be refused or dropped",
            install,
        ),
        Err(error) if is_missing(&error) => Finding::failed(name, "is not installed: nobody can be declared", install),
        // The operator's own account may not read definitions; whether the kind is served it may ask.
        Err(error) if is_refused(&error) => served(cluster, kind, name).await,
        Err(error) => Finding::failed(name, format!("cannot be read: {error}"), "is the API server reachable?"),
    }
}

fn schema(
    version: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionVersion,
) -> (&str, Option<serde_json::Value>) {
    (&version.name, serde_json::to_value(&version.schema).ok())
}

async fn served(cluster: &Cluster, kind: Kind, name: String) -> Finding {
    let group = "vpn-operator.io/v1alpha1";
    match cluster.client.list_api_group_resources(group).await {
        Ok(list) if list.resources.iter().any(|resource| resource.name == kind.plural()) => Finding::ok(
            name,
            "is installed; whether it is this version's can be seen by an account that may read definitions",
        ),
        Ok(_) => Finding::failed(
            name,
            "is not installed: nobody can be declared",
            "vpn-operator crds | kubectl apply --server-side -f -",
        ),
        Err(error) => Finding::failed(
            name,
            format!("cannot be asked for: {error}"),
            "is the definition installed?",
        ),
    }
}

/// One rule of a Role.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
    verbs: Vec<String>,
}

impl Rule {
    fn attributes(&self, namespace: &str) -> Vec<ResourceAttributes> {
        let mut all = Vec::new();
        for group in &self.api_groups {
            for resource in &self.resources {
                for verb in &self.verbs {
                    let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
                    all.push(ResourceAttributes {
                        group: Some(group.clone()),
                        resource: Some(resource.to_owned()),
                        subresource: Some(sub.to_owned()).filter(|sub| !sub.is_empty()),
                        verb: Some(verb.clone()),
                        namespace: Some(namespace.to_owned()),
                        // A Role reaches one namespace object only: its own.
                        name: (resource == "namespaces")
                            .then(|| namespace.to_owned())
                            .or_else(|| self.resource_names.first().cloned()),
                        ..ResourceAttributes::default()
                    });
                }
            }
        }
        all
    }
}

/// This account may do what the component does.
async fn permissions(cluster: &Cluster, components: Components) -> Finding {
    const NAME: &str = "permissions";
    let (rules, role) = match components {
        Components::All => (CONTROLLER, "controller"),
        Components::Auth => (AUTH, "auth replica"),
        Components::Bot => return Finding::ok(NAME, "a bot of its own asks nothing of the cluster"),
    };
    let rules: Vec<Rule> = match serde_yaml::from_str(rules) {
        Ok(rules) => rules,
        Err(error) => return Finding::failed(NAME, format!("the rules cannot be read: {error}"), "report this"),
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let asked = rules.iter().flat_map(|rule| rule.attributes(&cluster.namespace));
    let answers: Vec<_> = stream::iter(asked)
        .map(|attributes| {
            let reviews = reviews.clone();
            async move {
                let shown = shown(&attributes);
                let review = SelfSubjectAccessReview {
                    spec: SelfSubjectAccessReviewSpec {
                        resource_attributes: Some(attributes),
                        ..SelfSubjectAccessReviewSpec::default()
                    },
                    ..SelfSubjectAccessReview::default()
                };
                let answer = reviews.create(&PostParams::default(), &review).await;
                answer.map(|review| (shown, review.status.is_some_and(|status| status.allowed)))
            }
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut missing = Vec::new();
    let count = answers.len();
    for answer in answers {
        match answer {
            Ok((_, true)) => {}
            Ok((shown, false)) => missing.push(shown),
            Err(error) => {
                return Finding::failed(
                    NAME,
                    format!("cannot be asked for: {error}"),
                    "is the API server reachable?",
                );
            }
        }
    }
    if missing.is_empty() {
        return Finding::ok(NAME, format!("this account has all {count} that the {role} needs"));
    }
    Finding::failed(
        NAME,
        format!("this account may not: {}", missing.join(", ")),
        format!("bind the chart's Role of the {role} to it, and run doctor as that account"),
    )
}

fn shown(asked: &ResourceAttributes) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let resource = [text(&asked.resource), text(&asked.subresource)];
    let resource = resource.iter().filter(|part| !part.is_empty()).cloned();
    format!("{} {}", text(&asked.verb), resource.collect::<Vec<_>>().join("/"))
}

/// Somebody acts.
async fn lease(cluster: &Cluster) -> Finding {
    let name = format!("lease {}", cluster.lease);
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let start = "start the controller; its log says what it waits for";
    let lease = match leases.get(&cluster.lease).await {
        Ok(lease) => lease,
        Err(error) if is_missing(&error) => return Finding::failed(name, "does not exist: nobody acts", start),
        Err(error) if is_refused(&error) => return Finding::skipped(name, "this account may not read it"),
        Err(error) => return Finding::failed(name, format!("cannot be read: {error}"), "is the API server reachable?"),
    };
    let spec = lease.spec.unwrap_or_default();
    let Some(holder) = spec.holder_identity.filter(|holder| !holder.is_empty()) else {
        return Finding::failed(name, "nobody holds it: nobody acts", start);
    };
    let Some(renewed) = spec.renew_time else {
        return Finding::warning(name, format!("{holder} holds it and never renewed it"), start);
    };
    let age = Timestamp::now().duration_since(renewed.0).as_secs();
    // Clocks of machines differ: what is certain is known to the candidates alone.
    if age > i64::from(spec.lease_duration_seconds.unwrap_or(15)) * 2 {
        return Finding::failed(
            name,
            format!("{holder} holds it and renewed it {age} s ago: nobody acts"),
            start,
        );
    }
    Finding::ok(name, format!("{holder} holds it"))
}

/// The replicas that answer logins are ready.
async fn replicas(cluster: &Cluster) -> Finding {
    const NAME: &str = "auth replicas";
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let found = match deployments.list(&ListParams::default().labels(REPLICAS)).await {
        Ok(found) => found.items,
        Err(error) if is_refused(&error) => {
            return Finding::skipped(
                NAME,
                format!("this account may not list Deployments; kubectl get deployments -l {REPLICAS} shows them"),
            );
        }
        Err(error) => {
            return Finding::failed(
                NAME,
                format!("cannot be listed: {error}"),
                "is the API server reachable?",
            );
        }
    };
    if found.is_empty() {
        return Finding::skipped(NAME, "there are none: the controller answers logins itself");
    }
    let (mut wanted, mut ready) = (0, 0);
    for deployment in &found {
        wanted += deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let status = deployment.status.as_ref();
        ready += status.and_then(|status| status.ready_replicas).unwrap_or(0);
    }
    let message = format!("{ready} of {wanted} are ready");
    let advice = "the log and /readyz?verbose of the pods that are not ready say what is missing";
    match ready {
        0 => Finding::failed(NAME, format!("{message}: nobody can log in"), advice),
        ready if ready < wanted => Finding::warning(NAME, message, advice),
        _ => Finding::ok(NAME, message),
    }
}

/// Reads keys of Secrets, each time anew.
struct Secrets(Api<Secret>);

#[async_trait]
impl SecretLookup for Secrets {
    async fn lookup(&self, key: &SecretKeyRef) -> Result<SecretString, String> {
        let secret = self.0.get(&key.name).await.map_err(|error| error.to_string())?;
        let bytes = secret.data.unwrap_or_default().remove(&key.key);
        let bytes = bytes.ok_or_else(|| "there is no such key".to_owned())?;
        String::from_utf8(bytes.0)
            .map(SecretString::from)
            .map_err(|_| "it is not UTF-8 text".to_owned())
    }
}
