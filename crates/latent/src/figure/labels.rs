//! Where the label of a point goes: beside the point, across no line and over no other label.

use super::canvas::Rect;

/// From a point to a label beside it, and on either axis to one at a corner.
const BESIDE: f64 = 8.0;
const CORNER: f64 = 4.0;

/// The place for a label of this size near the point `at`: of the eight around it the first inside of `frame` that no
/// line crosses and nothing has `taken`; where none is free, the one that collides least.
pub(super) fn near(
    at: [f64; 2],
    [width, height]: [f64; 2],
    frame: Rect,
    lines: &[[[f64; 2]; 2]],
    taken: &[Rect],
) -> Rect {
    let [x, y] = at;
    let (middle, level) = (x - width / 2.0, y - height / 2.0);
    let (right, left) = (x + CORNER, x - CORNER - width);
    let (above, below) = (y - CORNER - height, y + CORNER);
    let corners = [
        [x + BESIDE, level],
        [x - BESIDE - width, level],
        [right, above],
        [left, above],
        [right, below],
        [left, below],
        [middle, y - BESIDE - height],
        [middle, y + BESIDE],
    ];
    let places = corners.map(|[x, y]| Rect::new(x, y, width, height));
    let collisions = |place: &Rect| {
        let inside = place.x >= frame.x
            && place.y >= frame.y
            && place.right() <= frame.right()
            && place.bottom() <= frame.bottom();
        let covered = taken.iter().filter(|other| other.overlaps(*place)).count();
        let crossed = lines.iter().filter(|line| crosses(line, *place)).count();
        100 * usize::from(!inside) + 10 * covered + crossed
    };
    // The first of those that are equally good.
    places.into_iter().min_by_key(collisions).unwrap_or(places[0])
}

/// Whether a piece of line passes through a rectangle (Liang and Barsky: the part of it that is within either side).
fn crosses([a, b]: &[[f64; 2]; 2], rect: Rect) -> bool {
    let (mut enters, mut leaves) = (0.0_f64, 1.0_f64);
    for (from, to, low, high) in [(a[0], b[0], rect.x, rect.right()), (a[1], b[1], rect.y, rect.bottom())] {
        let step = to - from;
        if step == 0.0 {
            if from < low || from > high {
                return false;
            }
            continue;
        }
        let (one, other) = ((low - from) / step, (high - from) / step);
        enters = enters.max(one.min(other));
        leaves = leaves.min(one.max(other));
    }
    enters < leaves
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Rect = Rect { x: 0.0, y: 0.0, width: 400.0, height: 300.0 };

    #[test]
    fn a_line_crosses_a_rectangle_or_does_not() {
        let rect = Rect::new(10.0, 10.0, 20.0, 10.0);
        for line in [[[0.0, 15.0], [50.0, 15.0]], [[0.0, 0.0], [40.0, 30.0]], [[15.0, 12.0], [16.0, 13.0]]] {
            assert!(crosses(&line, rect), "{line:?}");
        }
        for line in [[[0.0, 5.0], [50.0, 5.0]], [[0.0, 15.0], [9.0, 15.0]], [[0.0, 0.0], [50.0, 9.0]]] {
            assert!(!crosses(&line, rect), "{line:?}");
        }
    }

    #[test]
    fn labels_on_a_curve_are_not_struck_through() {
        // Rate against error: steep, then flat towards the right edge.
        let curve =
            [[10.0, 20.0], [30.0, 200.0], [58.0, 235.0], [130.0, 262.0], [230.0, 272.0], [395.0, 274.0]];
        let lines: Vec<[[f64; 2]; 2]> = curve.windows(2).map(|pair| [pair[0], pair[1]]).collect();
        let mut taken: Vec<Rect> = curve.map(|[x, y]| Rect::new(x - 3.0, y - 3.0, 6.0, 6.0)).to_vec();
        for point in curve {
            let place = near(point, [44.0, 14.0], FRAME, &lines, &taken);
            assert!(!lines.iter().any(|line| crosses(line, place)), "{point:?} {place:?}");
            assert!(!taken.iter().any(|other| other.overlaps(place)), "{point:?} {place:?}");
            assert!(place.x >= 0.0 && place.right() <= 400.0 && place.bottom() <= 300.0, "{place:?}");
            taken.push(place);
        }
    }

    #[test]
    fn a_point_alone_has_its_label_on_the_right() {
        let place = near([50.0, 50.0], [30.0, 14.0], FRAME, &[], &[]);
        assert_eq!((place.x, place.y), (58.0, 43.0));
        let edge = near([390.0, 50.0], [30.0, 14.0], FRAME, &[], &[]);
        assert_eq!((edge.x, edge.y), (352.0, 43.0));
    }
}
