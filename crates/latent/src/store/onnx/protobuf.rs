//! Protocol buffers, as much as an ONNX file takes: a message is a run of fields, each a tag and a value.
//!
//! tag = number · 8 + type;  whole numbers are written seven bits a byte, the lowest first, texts and messages with their
//! length before them
//!
//! Reference: protobuf.dev/programming-guides/encoding.

/// A message in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A whole number.
    pub fn int(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    /// A 32-bit number.
    pub fn float(&mut self, field: u64, value: f32) {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }

    /// Bytes with their length.
    pub fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// A text.
    pub fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// A message inside.
    pub fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }

    /// What is written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::Message;

    #[test]
    fn the_examples_of_the_specification() {
        // message Test1 { int32 a = 1; }, a = 150
        let mut one = Message::default();
        one.int(1, 150);
        assert_eq!(one.clone().into_bytes(), [0x08, 0x96, 0x01]);
        // message Test3 { Test1 c = 3; }
        let mut three = Message::default();
        three.message(3, &one);
        assert_eq!(three.into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        // message Test2 { string b = 2; }
        let mut two = Message::default();
        two.text(2, "testing");
        assert_eq!(two.into_bytes(), [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]);
        // Negative numbers are written as the 64 bits that they are.
        let mut negative = Message::default();
        negative.int(1, -2i64 as u64);
        assert_eq!(negative.into_bytes().len(), 11);
    }
}
