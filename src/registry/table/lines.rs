//! On which line of a text a record stands.

/// Counts lines on the way through a text. They end with LF, CR LF or CR alone.
pub(super) struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// The line on which the record stands that begins at `offset`, or behind empty lines from there on. Offsets only rise.
    pub(super) fn of_record(&mut self, offset: usize) -> u64 {
        while let Some(byte) = self.text.get(self.at) {
            let ends = matches!(byte, b'\r' | b'\n');
            if self.at >= offset && !ends {
                break;
            }
            let half = *byte == b'\r' && self.text.get(self.at + 1) == Some(&b'\n');
            self.line += u64::from(ends && !half);
            self.at += 1;
        }
        self.line
    }
}
