//! Enough of the text form of protocol buffers to read the vectors of the CEL specification.

/// Fields in the order of the file.
#[derive(Debug, Default, Clone)]
pub(crate) struct Message(pub(crate) Vec<(String, Field)>);

#[derive(Debug, Clone)]
pub(crate) enum Field {
    Message(Message),
    /// Bytes of a quoted string; adjacent ones are one.
    Text(Vec<u8>),
    /// A number, an enum's name, a bool.
    Word(String),
}

impl Message {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text };
        let message = reader.message("")?;
        if reader.rest.is_empty() { Ok(message) } else { Err(reader.error("a field")) }
    }

    /// Whether a field of this name is anywhere in it.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(known, field)| known == name || matches!(field, Field::Message(message) if message.contains(name)))
    }

    pub(crate) fn all<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m Field> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, field)| field)
    }

    pub(crate) fn messages<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m Message> {
        self.all(name).filter_map(|field| if let Field::Message(message) = field { Some(message) } else { None })
    }

    pub(crate) fn message(&self, name: &str) -> Option<&Message> {
        self.0.iter().find(|(known, _)| known == name).and_then(|(_, field)| match field {
            Field::Message(message) => Some(message),
            _ => None,
        })
    }

    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known == name).and_then(|(_, field)| match field {
            Field::Text(bytes) => Some(bytes.as_slice()),
            _ => None,
        })
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.bytes(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).and_then(|(_, field)| match field {
            Field::Word(word) => Some(word.as_str()),
            _ => None,
        })
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn error(&self, wanted: &str) -> String {
        format!("{wanted} is missing at {:?}", self.rest.chars().take(40).collect::<String>())
    }

    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',' || c == ';');
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => return,
            }
        }
    }

    fn take(&mut self, symbol: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn message(&mut self, end: &str) -> Result<Message, String> {
        let mut fields = Vec::new();
        loop {
            self.skip();
            if (end.is_empty() && self.rest.is_empty()) || (!end.is_empty() && self.take(end)) {
                return Ok(Message(fields));
            }
            let name = if self.take("[") {
                let (name, rest) = self.rest.split_once(']').ok_or_else(|| self.error("]"))?;
                self.rest = rest;
                name.to_owned()
            } else {
                self.word()?
            };
            self.take(":");
            if self.take("[") {
                while !self.take("]") {
                    fields.push((name.clone(), self.field()?));
                }
            } else {
                fields.push((name, self.field()?));
            }
        }
    }

    fn word(&mut self) -> Result<String, String> {
        self.skip();
        let length = self.rest.find(|c: char| !c.is_alphanumeric() && !"_.+-".contains(c)).unwrap_or(self.rest.len());
        if length == 0 {
            return Err(self.error("a name"));
        }
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(word.to_owned())
    }

    fn field(&mut self) -> Result<Field, String> {
        if self.take("{") {
            return self.message("}").map(Field::Message);
        }
        self.skip();
        if !self.rest.starts_with(['"', '\'']) {
            return self.word().map(Field::Word);
        }
        let mut bytes = Vec::new();
        while self.rest.starts_with(['"', '\'']) {
            self.quoted(&mut bytes)?;
            self.skip();
        }
        Ok(Field::Text(bytes))
    }

    fn quoted(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let quote = self.rest.chars().next().unwrap_or('"');
        self.rest = &self.rest[1..];
        loop {
            let c = self.rest.chars().next().ok_or_else(|| self.error("a quote"))?;
            self.rest = &self.rest[c.len_utf8()..];
            match c {
                _ if c == quote => return Ok(()),
                '\\' => self.escape(bytes)?,
                _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let letter = self.rest.chars().next().ok_or_else(|| self.error("an escape"))?;
        let mut number = |skip: usize, radix: u32, most: usize| {
            let digits = self.rest[skip..].chars().take(most).take_while(|c| c.is_digit(radix)).count();
            let value = u32::from_str_radix(&self.rest[skip..skip + digits], radix);
            self.rest = &self.rest[skip + digits..];
            value.map_err(|_| "a number is missing after a backslash".to_owned())
        };
        let value = match letter {
            'x' | 'X' => number(1, 16, 2)?,
            '0'..='7' => number(0, 8, 3)?,
            'u' | 'U' => {
                let value = number(1, 16, if letter == 'u' { 4 } else { 8 })?;
                let c = char::from_u32(value).ok_or("not a character")?;
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => {
                self.rest = &self.rest[letter.len_utf8()..];
                match letter {
                    'a' => 7,
                    'b' => 8,
                    'f' => 12,
                    'n' => 10,
                    'r' => 13,
                    't' => 9,
                    'v' => 11,
                    other => other.into(),
                }
            }
        };
        bytes.push(u8::try_from(value).map_err(|_| "more than a byte")?);
        Ok(())
    }
}
