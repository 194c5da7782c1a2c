//! The server under test: the double, or the one that `VPN_OPERATOR_TEST_KUBECONFIG` names.

use std::{env, path::PathBuf, time::Duration};

use axum::http::Request;
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, Error, ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::Status,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use vpn_operator::model::crds;

use crate::support::kube::{KubeDouble, kubectl::Kubectl};

/// Names the kubeconfig file of a real cluster. Without it the double is tested.
pub const KUBECONFIG: &str = "VPN_OPERATOR_TEST_KUBECONFIG";

const JSON: &str = "application/json";

/// A server with an empty namespace.
pub struct House {
    double: Option<KubeDouble>,
    pub client: Client,
    pub namespace: String,
    pub kubectl: Kubectl,
}

impl House {
    pub async fn open() -> Self {
        if let Some(path) = env::var_os(KUBECONFIG) {
            return Self::real(path.into()).await;
        }
        let double = KubeDouble::start().await;
        let client = double.client("contract");
        Self::new(Some(double), client, "default".to_owned())
    }

    fn new(double: Option<KubeDouble>, client: Client, namespace: String) -> Self {
        Self {
            double,
            kubectl: Kubectl::new(client.clone(), &namespace),
            client,
            namespace,
        }
    }

    async fn real(path: PathBuf) -> Self {
        static DEFINED: OnceCell<()> = OnceCell::const_new();
        let kubeconfig = Kubeconfig::read_from(path).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap();
        let client = Client::try_from(config).unwrap();
        DEFINED.get_or_init(|| define(client.clone())).await;
        let namespace = Namespace {
            metadata: ObjectMeta {
                generate_name: Some("contract-".to_owned()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let made = namespaces.create(&PostParams::default(), &namespace).await.unwrap();
        Self::new(None, client, made.name_any())
    }

    /// The double, for what cannot be done to a real server.
    pub fn double(&self) -> Option<&KubeDouble> {
        self.double.as_ref()
    }

    /// Sends a request for something in the namespace, like `vpnusers/a/status?force=true`.
    ///
    /// # Errors
    /// The answer, if it says that the request failed.
    pub async fn ask(&self, method: &str, what: &str, media: &str, body: &Value) -> Result<Value, Box<Status>> {
        let root = match what.split(['/', '?']).next().unwrap() {
            "secrets" | "configmaps" => "/api/v1",
            "leases" => "/apis/coordination.k8s.io/v1",
            "events" => "/apis/events.k8s.io/v1",
            _ => "/apis/vpn-operator.io/v1alpha1",
        };
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{root}/namespaces/{}/{what}", self.namespace))
            .header("content-type", media)
            .body(body)
            .unwrap();
        match self.client.request::<Value>(request).await {
            Ok(answer) => Ok(answer),
            Err(Error::Api(status)) => Err(status),
            Err(other) => panic!("{method} {what}: {other}"),
        }
    }

    pub async fn get(&self, what: &str) -> Result<Value, Box<Status>> {
        self.ask("GET", what, JSON, &Value::Null).await
    }

    pub async fn post(&self, what: &str, body: &Value) -> Result<Value, Box<Status>> {
        self.ask("POST", what, JSON, body).await
    }

    pub async fn put(&self, what: &str, body: &Value) -> Result<Value, Box<Status>> {
        self.ask("PUT", what, JSON, body).await
    }

    /// Server-side apply.
    pub async fn apply(&self, manager: &str, what: &str, config: &Value) -> Result<Value, Box<Status>> {
        let and = if what.contains('?') { '&' } else { '?' };
        let what = format!("{what}{and}fieldManager={manager}");
        self.ask("PATCH", &what, "application/apply-patch+yaml", config).await
    }

    pub async fn merge(&self, what: &str, patch: &Value) -> Result<Value, Box<Status>> {
        self.ask("PATCH", what, "application/merge-patch+json", patch).await
    }

    pub async fn patch(&self, what: &str, operations: &Value) -> Result<Value, Box<Status>> {
        self.ask("PATCH", what, "application/json-patch+json", operations).await
    }

    pub async fn delete(&self, what: &str, options: &Value) -> Result<Value, Box<Status>> {
        self.ask("DELETE", what, JSON, options).await
    }

    /// Tidies up. What a failed test leaves behind is for a person to look at.
    pub async fn close(self) {
        if self.double.is_none() {
            let namespaces: Api<Namespace> = Api::all(self.client);
            namespaces
                .delete(&self.namespace, &DeleteParams::default())
                .await
                .unwrap();
        }
    }
}

/// Installs the definitions and waits until they are served.
async fn define(client: Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let params = PatchParams::apply("contract").force();
    for definition in crds() {
        let name = definition.name_any();
        definitions
            .patch(&name, &params, &Patch::Apply(&definition))
            .await
            .unwrap();
        loop {
            let status = definitions.get(&name).await.unwrap().status.unwrap_or_default();
            let conditions = status.conditions.unwrap_or_default();
            if conditions
                .iter()
                .any(|c| c.type_ == "Established" && c.status == "True")
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The smallest user with this corporate ID, which must be its own encoding.
pub fn user(id: &str) -> Value {
    json!({
        "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser", "metadata": { "name": id },
        "spec": { "corporateId": id },
    })
}

/// `value` with something else at a pointer.
pub fn with(mut value: Value, pointer: &str, new: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let mut there = &mut value;
    for step in parent.split('/').skip(1) {
        there = &mut there[step];
    }
    there[field] = new;
    value
}

pub fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

/// Who manages what: `manager operation subresource` and the fields.
pub fn managers(object: &Value) -> Vec<(String, Value)> {
    let mut list: Vec<(String, Value)> = object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default();
            let who = format!("{} {} {}", text("manager"), text("operation"), text("subresource"));
            (who.trim().to_owned(), entry["fieldsV1"].clone())
        })
        .collect();
    list.sort_by(|a, b| a.0.cmp(&b.0));
    list
}
