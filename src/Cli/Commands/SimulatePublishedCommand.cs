using System.CommandLine;
using System.Globalization;
using Krewe.Simulation;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary><c>krewe simulate published</c>: published curves and tables beside what this simulator gives.</summary>
internal sealed class SimulatePublishedCommand : Command
{
    private const int Draws = 100_000;

    private readonly Option<string?> _out = Setting.Text("--out", "FOLDER", "Write the curves as SVG files.");
    private readonly UsualOption<int> _seed = Setting.Count("--seed", "Seed of arrivals and lengths.", 1, 0);
    private readonly Terminal _terminal;

    public SimulatePublishedCommand(Terminal terminal)
        : base("published", "Simulate published curves and tables; print both.")
    {
        _terminal = terminal;
        Add(_out);
        Add(_seed);
        SetAction((result, cancellation) => Task.FromResult(Run(result, cancellation)));
    }

    private int Run(ParseResult result, CancellationToken cancellation)
    {
        var seed = (ulong)_seed.Read(result);
        Curves(seed, result.GetValue(_out), cancellation);
        Table2(seed);
        Sarathi();
        Lengths(seed);
        return ExitCode.Success;
    }

    private void Curves(ulong seed, string? folder, CancellationToken cancellation)
    {
        var curves = DistServeCurves.Figures;
        var ours = curves.Select(c => new double[c.RatesPerGpu.Length]).ToArray();
        var shorter = curves.Select(c => new double[c.RatesPerGpu.Length]).ToArray();
        var points = curves.SelectMany((c, i) => c.RatesPerGpu.Select((_, j) => (Curve: i, Point: j))).ToArray();
        _terminal.AnsiError().Progress().Start(progress =>
        {
            var task = progress.AddTask("points of curves", maxValue: points.Length);
            Parallel.ForEach(points, new ParallelOptions { CancellationToken = cancellation }, at =>
            {
                var curve = curves[at.Curve];
                var rate = curve.RatesPerGpu[at.Point] * curve.Gpus;
                ours[at.Curve][at.Point] = DistServeCurves.Attainment(
                    curve, rate, curve.Slo, DistServeCurves.PromptMean, seed);
                shorter[at.Curve][at.Point] = DistServeCurves.Attainment(
                    curve, rate, curve.ArtifactSlo, DistServeCurves.ShortPromptMean, seed);
                task.Increment(1);
            });
        });
        var table = new Table().AddColumns(
            "curve", "requests/s per GPU", "published %", "prompts of 755, paper's SLO",
            "prompts of 300, artifact's SLO");
        for (var i = 0; i < curves.Count; i++)
        {
            for (var j = 0; j < ours[i].Length; j++)
            {
                table.AddRow(
                    curves[i].Name, Text($"{curves[i].RatesPerGpu[j]}"), Text($"{curves[i].Attained[j]:0.0}"),
                    Text($"{ours[i][j]:0.0}"), Text($"{shorter[i][j]:0.0}"));
            }
        }

        _terminal.Ansi().Write(table);
        if (folder is null) return;
        Directory.CreateDirectory(folder);
        foreach (var model in new[] { "66B", "13B" })
        {
            var chart = new SvgChart(
                $"OPT-{model}, ShareGPT: lines simulated, rings published", "requests/s per GPU", "SLO attainment, %")
            {
                YMax = 100,
                YGuide = 90,
            };
            foreach (var (i, curve) in curves.Index().Where(c => c.Item.Name.EndsWith(model, StringComparison.Ordinal)))
                chart.AddLine(curve.Name, Points(curve, shorter[i]));
            foreach (var curve in curves.Where(c => c.Name.EndsWith(model, StringComparison.Ordinal)))
                chart.AddMarks(curve.Name + " (paper)", Points(curve, curve.Attained));
            foreach (var (i, curve) in curves.Index().Where(c => c.Item.Name.EndsWith(model, StringComparison.Ordinal)))
                chart.AddLine(curve.Name + ", 755", Points(curve, ours[i]));
            File.WriteAllText(Path.Combine(folder, $"distserve-{model.ToLowerInvariant()}.svg"), chart.Render());
        }
    }

    private void Table2(ulong seed)
    {
        var (vllm, distserve) = (DistServeCurves.Figures[0], DistServeCurves.Figures[1]);
        var table = new Table().AddColumns(
            "requests/s", "vLLM real", "authors' simulator", "ours", "DistServe-Low real", "authors' simulator",
            "ours");
        string Ours(PublishedCurve curve, double rate)
        {
            var attained = DistServeCurves.Attainment(
                curve, rate, curve.ArtifactSlo, DistServeCurves.PromptMean, seed);
            return Text($"{attained:0.0}");
        }

        foreach (var row in DistServeCurves.Table2)
        {
            table.AddRow(
                Text($"{row.Rate:0.0}"), Text($"{row.Vllm:0.0}"), Text($"{row.VllmSimulated:0.0}"),
                Ours(vllm, row.Rate), Text($"{row.DistServe:0.0}"), Text($"{row.Simulated:0.0}"),
                Ours(distserve, row.Rate));
        }

        _terminal.Ansi().Write(table);
    }

    private void Sarathi()
    {
        var table = new Table().AddColumns("Yi-34B, 2 x A100", "measured ms", "simulated ms", "ratio");
        foreach (var step in SarathiStep.Published)
        {
            var ms = step.SimulatedMs();
            table.AddRow(
                Text($"{step.PrefillTokens} prefill + {step.Decodes} decode"), Text($"{step.Ms:0.0}"),
                Text($"{ms:0.0}"), Text($"{ms / step.Ms:0.00}"));
        }

        _terminal.Ansi().Write(table);
    }

    private void Lengths(ulong seed)
    {
        var table = new Table().AddColumns("Llumnix' lengths", "mean", "P50", "P80", "P95", "P99");
        foreach (var published in LengthTable.Llumnix)
        {
            var random = new SeededRandom(seed);
            var drawn = Enumerable.Range(0, Draws).Select(_ => (double)published.Draw(random)).Order().ToArray();
            string Cell(double paper, double ours) => Text($"{ours:0} ({paper:0})");
            table.AddRow(
                published.Name, Cell(published.Mean, drawn.Average()), Cell(published.P50, Percentiles.At(drawn, 0.5)),
                Cell(published.P80, Percentiles.At(drawn, 0.8)), Cell(published.P95, Percentiles.At(drawn, 0.95)),
                Cell(published.P99, Percentiles.At(drawn, 0.99)));
        }

        _terminal.Ansi().Write(table);
    }

    private static ChartPoint[] Points(PublishedCurve curve, double[] attained) =>
        [.. curve.RatesPerGpu.Zip(attained, (x, y) => new ChartPoint(x, y))];

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
