//! Points of a series as bytes: what a batch brings is one row, not one row a point.
//!
//! Layout: version 1, the number of points, then for each point in step order the difference of its step and of its time to
//! the point before (zigzag, 7 bits a byte, low bits first) and the eight bytes of its value, little endian. NaN and the
//! infinities are values like others.

use tenor_domain::Timestamp;

/// One point of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub step: i64,
    pub value: f64,
    pub at: Timestamp,
}

/// The most points of a chunk that is written.
pub(super) const MAX_POINTS: usize = 1_024;

const VERSION: u8 = 1;

/// The bytes of `points`, whose steps ascend.
pub(super) fn encode(points: &[Point]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + points.len() * 11);
    bytes.push(VERSION);
    write_varint(&mut bytes, points.len() as u64);
    let (mut step, mut at) = (0i64, 0i64);
    for point in points {
        write_varint(&mut bytes, zigzag(point.step.wrapping_sub(step)));
        write_varint(&mut bytes, zigzag(point.at.0.wrapping_sub(at)));
        bytes.extend_from_slice(&point.value.to_bits().to_le_bytes());
        (step, at) = (point.step, point.at.0);
    }
    bytes
}

/// The points of a chunk; `None` when the bytes are not what [`encode`] writes.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Point>> {
    let (&version, mut rest) = bytes.split_first()?;
    let count = usize::try_from(read_varint(&mut rest)?).ok()?;
    // A point has ten bytes at least, so a wrong count cannot ask for more memory than there are bytes.
    if version != VERSION || count > rest.len() / 10 {
        return None;
    }
    let mut points = Vec::with_capacity(count);
    let (mut step, mut at) = (0i64, 0i64);
    for _ in 0..count {
        step = step.wrapping_add(unzigzag(read_varint(&mut rest)?));
        at = at.wrapping_add(unzigzag(read_varint(&mut rest)?));
        let (value, after) = rest.split_first_chunk::<8>()?;
        rest = after;
        points.push(Point { step, value: f64::from_bits(u64::from_le_bytes(*value)), at: Timestamp(at) });
    }
    rest.is_empty().then_some(points)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

fn write_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(step: i64, value: f64, at: i64) -> Point {
        Point { step, value, at: Timestamp(at) }
    }

    #[test]
    fn points_come_back_to_the_bit() {
        let points = [
            point(i64::MIN, -0.0, i64::MAX),
            point(-1, f64::NEG_INFINITY, i64::MIN),
            point(0, f64::MIN_POSITIVE / 2.0, 1_790_000_000_000),
            point(1, 0.1 + 0.2, 1_790_000_000_001),
            point(i64::MAX, f64::INFINITY, 0),
        ];
        let back = decode(&encode(&points)).unwrap();
        assert_eq!(back, points);
        assert!(back[0].value.is_sign_negative());
        assert!(decode(&encode(&[point(7, f64::NAN, 7)])).unwrap()[0].value.is_nan());
        assert_eq!(decode(&encode(&[])), Some(Vec::new()));
    }

    #[test]
    fn a_series_of_steps_costs_ten_bytes_a_point() {
        let points: Vec<_> = (0..1_000).map(|step| point(step, step as f64, 1_790_000_000_000 + step)).collect();
        assert!(encode(&points).len() < 10_020, "{}", encode(&points).len());
    }

    #[test]
    fn bytes_that_are_cut_or_changed_in_length_are_refused() {
        let bytes = encode(&[point(1, 1.0, 1), point(1_000, 2.0, 2)]);
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), None, "{end}");
        }
        for wrong in [&[][..], &[2, 0], &[1, 0, 0], &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]]
        {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }
}
