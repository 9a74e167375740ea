using System.Globalization;
using System.Text;

namespace Krewe.Cli;

/// <summary>
/// Gaps over time as SVG, 720 x 400 px: the gap axis is logarithmic, for a stall is tens of times a step.
/// </summary>
internal static class StallChart
{
    private const double Left = 60;
    private const double Right = 700;
    private const double Top = 56;
    private const double Bottom = 350;

    public static string Render(StallReport report)
    {
        var all = report.StallFree.Gaps.Concat(report.WholePrompt.Gaps).ToArray();
        var (from, to) = (all.Min(gap => gap.AtMs), all.Max(gap => gap.AtMs));
        var decades = (Low: 0.0, High: Math.Ceiling(Math.Log10(all.Max(gap => gap.GapMs))));
        double X(double ms) => Left + ((Right - Left) * (ms - from) / (to - from));
        double Y(double ms) => Bottom - ((Bottom - Top)
            * Math.Clamp((Math.Log10(Math.Max(ms, 1e-3)) - decades.Low) / (decades.High - decades.Low), 0, 1));

        var svg = new StringBuilder();
        void Add(FormattableString text) => svg.Append(text.ToString(CultureInfo.InvariantCulture)).Append('\n');
        Add($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"400\" font-family=\"sans-serif\">");
        Add($"<rect width=\"720\" height=\"400\" fill=\"white\"/>");
        var title = $"A {report.PromptTokens}-token prompt arrives among {report.Streams} running streams: gaps, ms";
        Add($"<text x=\"{Left}\" y=\"20\" font-size=\"14\">{title}</text>");
        for (var decade = decades.Low; decade <= decades.High; decade++)
            Line(Add, Y(Math.Pow(10, decade)), "#ddd", $"{Math.Pow(10, decade):0}");
        Line(Add, Y(report.StepBudgetMs), "#888", "budget");
        Line(Add, Y(2 * report.StepBudgetMs), "#888", "2x");
        Add($"<line x1=\"{X(0):0.#}\" x2=\"{X(0):0.#}\" y1=\"{Top}\" y2=\"{Bottom}\" stroke=\"#888\"/>");
        Dots(Add, report.WholePrompt, "#d55e00", 0, X, Y);
        Dots(Add, report.StallFree, "#0072b2", 1, X, Y);
        foreach (var ms in (double[])[from, 0, to])
        {
            var place = $"x=\"{X(ms):0.#}\" y=\"{Bottom + 16}\" font-size=\"11\" text-anchor=\"middle\"";
            Add($"<text {place}>{ms / 1000:0.0} s</text>");
        }

        Add($"</svg>");
        return svg.ToString();
    }

    private static void Line(Action<FormattableString> add, double y, string colour, string name)
    {
        add($"<line x1=\"{Left}\" x2=\"{Right}\" y1=\"{y:0.#}\" y2=\"{y:0.#}\" stroke=\"{colour}\"/>");
        add($"<text x=\"{Left - 6}\" y=\"{y + 4:0.#}\" font-size=\"11\" text-anchor=\"end\">{name}</text>");
    }

    private static void Dots(
        Action<FormattableString> add, StallFigures figures, string colour, int place, Func<double, double> x,
        Func<double, double> y)
    {
        foreach (var gap in figures.Gaps)
            add($"<circle cx=\"{x(gap.AtMs):0.#}\" cy=\"{y(gap.GapMs):0.#}\" r=\"2\" fill=\"{colour}\"/>");
        var legend = Left + (320 * place);
        add($"<circle cx=\"{legend}\" cy=\"38\" r=\"4\" fill=\"{colour}\"/>");
        var text = $"{figures.Batching}: P99 {figures.P99DuringMs:0} ms, first token at {figures.TtftMs / 1000:0.0} s";
        add($"<text x=\"{legend + 10}\" y=\"42\" font-size=\"12\">{text}</text>");
    }
}
