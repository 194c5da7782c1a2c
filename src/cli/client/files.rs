//! What is sent and fetched as it is, and requests that are made once.

use std::io::Write;

use reqwest::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde::Serialize;
use serde_json::Value;

use super::{Answer, Client, CommandError};
use crate::api::client::{SIMULATED_HEADER, innermost};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

impl Client {
    /// Orders something that is done once however often it is sent: `key` is the caller's name of the request.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub async fn post_once(
        &self,
        path: &[&str],
        body: &(impl Serialize + Sync),
        key: Option<&str>,
    ) -> Result<Answer, CommandError> {
        let mut request = self.request(Method::POST, path, &[])?;
        if let Some(key) = key {
            let key = HeaderValue::from_str(key);
            let key = key.map_err(|_| CommandError::invalid("--key: give letters, digits and signs of ASCII"))?;
            request.headers_mut().insert(IDEMPOTENCY_KEY, key);
        }
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        *request.body_mut() = serde_json::to_vec(body)
            .map_err(|error| CommandError::failed(format!("the request cannot be written as JSON: {error}")))?;
        let (status, body) = self.said(self.api.exchange(request).await)?;
        self.answer(status, body)
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<axum::http::Request<Vec<u8>>, CommandError> {
        let request = self.api.request(method, path, query);
        request.map_err(|error| CommandError::invalid(error.to_string()))
    }

    /// Sends a CSV file. Answers whatever was said to it: of a file that is refused, which lines are wrong.
    ///
    /// # Errors
    /// The operator cannot be reached, or answered something that is no JSON.
    pub async fn send_csv(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        file: Vec<u8>,
    ) -> Result<(StatusCode, Value), CommandError> {
        let mut request = self.request(Method::POST, path, query)?;
        let csv = HeaderValue::from_static("text/csv");
        request.headers_mut().insert(CONTENT_TYPE, csv);
        *request.body_mut() = file;
        self.said(self.api.exchange(request).await)
    }

    /// Makes of an answer what it means for a command.
    ///
    /// # Errors
    /// It is a refusal.
    pub fn meaning(&self, (status, body): (StatusCode, Value)) -> Result<Answer, CommandError> {
        self.answer(status, body)
    }

    /// Fetches a file, and writes it while it comes.
    ///
    /// # Errors
    /// The operator cannot be reached or refused, the file broke off, or it cannot be written.
    pub async fn download(&self, path: &[&str], to: &mut (dyn Write + Send)) -> Result<(), CommandError> {
        let cut = |error: reqwest::Error| self.unreachable(&innermost(error));
        let request = self.request(Method::GET, path, &[])?;
        let opened = self.over.open(request).await;
        let mut response = opened.map_err(|why| self.unreachable(&why))?;
        self.tell_simulated(response.headers().contains_key(SIMULATED_HEADER));
        let status = response.status();
        if !status.is_success() {
            let body = response.bytes().await.map_err(cut)?;
            return self
                .answer(status, serde_json::from_slice(&body).unwrap_or_default())
                .map(drop);
        }
        while let Some(chunk) = response.chunk().await.map_err(cut)? {
            to.write_all(&chunk)
                .map_err(|error| CommandError::failed(format!("the file cannot be written: {error}")))?;
        }
        Ok(())
    }
}
