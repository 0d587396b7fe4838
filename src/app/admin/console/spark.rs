//! Small charts, drawn here as SVG: a page needs no script for them.

use plotters::prelude::{AreaSeries, ChartBuilder, Color, IntoDrawingArea, RGBColor, SVGBackend};

const SIZE: (u32, u32) = (128, 32);
/// Seen on a light and on a dark page.
const INK: RGBColor = RGBColor(0x3d, 0x86, 0xc6);

/// A line of counts, the oldest first, without axes; nothing for no counts. For the eye alone: say next to
/// it what it shows.
pub(super) fn spark(counts: &[u32]) -> String {
    let mut svg = String::new();
    if counts.len() < 2 || draw(counts, &mut svg).is_none() {
        return String::new();
    }
    let hidden = "<svg class=\"spark\" aria-hidden=\"true\" focusable=\"false\" ";
    svg.replacen("<svg ", hidden, 1)
}

fn draw(counts: &[u32], svg: &mut String) -> Option<()> {
    let most = counts.iter().copied().max()?.max(1);
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let (across, up) = (0.0..(counts.len() - 1) as f64, 0.0..f64::from(most) * 1.08);
    let mut chart = ChartBuilder::on(&root)
        .build_cartesian_2d(across, up)
        .ok()?;
    let points = counts.iter().enumerate();
    let points = points.map(|(at, count)| (at as f64, f64::from(*count)));
    let area = AreaSeries::new(points, 0.0, INK.mix(0.25)).border_style(INK);
    chart.draw_series(area).ok()?;
    root.present().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_one_svg_without_style_or_script() {
        let svg = spark(&[0, 3, 1, 7]);
        assert!(svg.starts_with("<svg class=\"spark\" aria-hidden"), "{svg}");
        assert!(svg.trim_end().ends_with("</svg>"), "{svg}");
        for banned in ["style=", "<script", "<style", "<text", "href"] {
            assert!(!svg.contains(banned), "{banned}: {svg}");
        }
        assert_eq!(spark(&[]), "");
        assert!(spark(&[0, 0]).contains("<svg"));
    }
}
