//! What is sent and fetched as it is, and requests that are made once.

use std::io::Write;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{Answer, Client, CommandError};

impl Client {
    /// Orders something that is done once however often it is sent: `key` is the caller's name of the request.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub async fn post_once(&self, path: &[&str], body: &Value, key: Option<&str>) -> Result<Answer, CommandError> {
        let mut request = self.request(Method::POST, path, &[])?.json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let response = self.respond(request).await?;
        let (status, body) = self.read(response).await?;
        self.answer(status, body)
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
        let request = self.request(Method::POST, path, query)?;
        let request = request.header("Content-Type", "text/csv").body(file);
        let response = self.respond(request).await?;
        self.read(response).await
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
        let request = self.request(Method::GET, path, &[])?;
        let mut response = self.respond(request).await?;
        if !response.status().is_success() {
            let (status, body) = self.read(response).await?;
            return self.answer(status, body).map(drop);
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            to.write_all(&chunk)
                .map_err(|error| CommandError::failed(format!("the file cannot be written: {error}")))?;
        }
        Ok(())
    }
}
