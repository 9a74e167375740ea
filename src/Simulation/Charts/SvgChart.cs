using System.Globalization;
using System.Net;
using System.Text;

namespace Krewe.Simulation;

/// <summary>One point of a line.</summary>
public readonly record struct ChartPoint(double X, double Y);

/// <summary>
/// A line chart as SVG text, 720 x 440 px. Lines are drawn through their points; "published" series are drawn as marks
/// alone, so that a curve over measured points shows what is whose.
/// </summary>
public sealed class SvgChart(string title, string xLabel, string yLabel)
{
    private const double Left = 64;
    private const double Top = 40;
    private const double PlotWidth = 470;
    private const double PlotHeight = 340;

    private const string Dashed = "stroke=\"#888\" stroke-dasharray=\"5 4\"";
    private const string Tick = "font-size=\"11\" text-anchor=\"middle\"";
    private const string AxisName = "font-size=\"12\" text-anchor=\"middle\"";

    // Okabe and Ito's palette: told apart by everybody, in print too.
    private static readonly string[] Colours =
        ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c564b", "#7f7f7f", "#bcbd22"];

    private readonly List<Series> _series = [];

    /// <summary>End of the y axis; null takes the largest value.</summary>
    public double? YMax { get; init; }

    /// <summary>A dashed horizontal line, such as a target.</summary>
    public double? YGuide { get; init; }

    public void AddLine(string name, IReadOnlyList<ChartPoint> points) => _series.Add(new(name, points, false));

    /// <summary>Measured or published points, in the colour of the line added at the same place.</summary>
    public void AddMarks(string name, IReadOnlyList<ChartPoint> points) => _series.Add(new(name, points, true));

    public string Render()
    {
        var all = _series.SelectMany(s => s.Points).ToArray();
        var xMax = NiceMax(all.Select(p => p.X).DefaultIfEmpty(1).Max());
        var yMax = YMax ?? NiceMax(all.Select(p => p.Y).DefaultIfEmpty(1).Max());
        var svg = new StringBuilder();
        void Add(FormattableString text) => svg.Append(text.ToString(CultureInfo.InvariantCulture)).Append('\n');
        double X(double x) => Left + (PlotWidth * x / xMax);
        double Y(double y) => Top + PlotHeight - (PlotHeight * Math.Clamp(y / yMax, 0, 1));

        const double right = Left + PlotWidth, bottom = Top + PlotHeight;
        Add($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"440\" font-family=\"sans-serif\">");
        Add($"<rect width=\"720\" height=\"440\" fill=\"white\"/>");
        Add($"<text x=\"{Left}\" y=\"24\" font-size=\"15\">{Escape(title)}</text>");
        for (var i = 0; i <= 5; i++)
        {
            var (x, y) = (xMax * i / 5, yMax * i / 5);
            var level = Y(y);
            Add($"<line x1=\"{Left}\" x2=\"{right}\" y1=\"{level:0.#}\" y2=\"{level:0.#}\" stroke=\"#ddd\"/>");
            Add($"<text x=\"{Left - 6}\" y=\"{level + 4:0.#}\" font-size=\"11\" text-anchor=\"end\">{y:0.####}</text>");
            Add($"<text x=\"{X(x):0.#}\" y=\"{bottom + 16}\" {Tick}>{x:0.####}</text>");
        }

        if (YGuide is { } guide)
        {
            var level = Y(guide);
            Add($"<line x1=\"{Left}\" x2=\"{right}\" y1=\"{level:0.#}\" y2=\"{level:0.#}\" {Dashed}/>");
        }

        for (var i = 0; i < _series.Count; i++) Draw(_series[i], Colours[ColourOf(i) % Colours.Length], i, Add, X, Y);
        var (middle, centre) = (Left + (PlotWidth / 2), Top + (PlotHeight / 2));
        Add($"<text x=\"{middle}\" y=\"{bottom + 38}\" {AxisName}>{Escape(xLabel)}</text>");
        Add($"<text x=\"16\" y=\"{centre}\" {AxisName} transform=\"rotate(-90 16 {centre})\">{Escape(yLabel)}</text>");
        Add($"</svg>");
        return svg.ToString();
    }

    private static void Draw(
        Series series, string colour, int place, Action<FormattableString> add, Func<double, double> x,
        Func<double, double> y)
    {
        if (!series.Marks)
        {
            var path = string.Join(' ', series.Points.Select(p =>
                string.Create(CultureInfo.InvariantCulture, $"{x(p.X):0.#},{y(p.Y):0.#}")));
            add($"<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        }

        var fill = series.Marks ? "white" : colour;
        foreach (var p in series.Points)
            add($"<circle cx=\"{x(p.X):0.#}\" cy=\"{y(p.Y):0.#}\" r=\"3.5\" fill=\"{fill}\" stroke=\"{colour}\"/>");
        var legend = Top + 8 + (18 * place);
        var right = Left + PlotWidth + 16;
        add($"<circle cx=\"{right}\" cy=\"{legend:0.#}\" r=\"4\" fill=\"{fill}\" stroke=\"{colour}\"/>");
        add($"<text x=\"{right + 10}\" y=\"{legend + 4:0.#}\" font-size=\"11\">{Escape(series.Name)}</text>");
    }

    /// <summary>Marks share the colour of the line with the same place among the lines.</summary>
    private int ColourOf(int place)
    {
        var same = 0;
        for (var i = 0; i < place; i++) same += _series[i].Marks == _series[place].Marks ? 1 : 0;
        return same;
    }

    private static double NiceMax(double value)
    {
        if (!(value > 0)) return 1;
        var power = Math.Pow(10, Math.Floor(Math.Log10(value)));
        foreach (var step in (ReadOnlySpan<double>)[1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8])
        {
            if (value <= step * power * (1 + 1e-9)) return step * power;
        }

        return 10 * power;
    }

    private static string Escape(string text) => WebUtility.HtmlEncode(text);

    private sealed record Series(string Name, IReadOnlyList<ChartPoint> Points, bool Marks);
}
