using System.CommandLine;
using System.Globalization;
using Krewe.Simulation.DistServe;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary>
/// <c>krewe simulate distserve</c>: DistServe's own simulator, per request equal to its published outputs.
/// </summary>
internal sealed class SimulateDistServeCommand : Command
{
    private readonly Option<string?> _engine = Setting.OneOf(
        "--engine", "distserve|vllm", "Prefill and decode apart, or both in each instance. Default distserve.",
        "distserve", "vllm");

    private readonly Option<string?> _model = Setting.OneOf(
        "--model", "13b|66b", "OPT size. Default 13b.", "13b", "66b");

    private readonly Option<string?> _workload = Setting.InputFile(
        "--workload", "FILE", "JSON array of { start_time (s), prompt_len, output_len }.");

    private readonly UsualOption<int> _tpPrefill = Setting.Count("--tp-prefill", "Tensor parallel, prefill.", 1, 1);
    private readonly UsualOption<int> _ppPrefill = Setting.Count("--pp-prefill", "Pipeline stages, prefill.", 1, 1);
    private readonly UsualOption<int> _tpDecode = Setting.Count("--tp-decode", "Tensor parallel, decode.", 1, 1);
    private readonly UsualOption<int> _ppDecode = Setting.Count("--pp-decode", "Pipeline stages, decode.", 1, 1);
    private readonly UsualOption<int> _prefills = Setting.Count("--prefill-instances", "Prefill instances.", 1, 1);
    private readonly UsualOption<int> _decodes = Setting.Count("--decode-instances", "Decode instances.", 1, 1);
    private readonly Option<int?> _instances = Setting.OptionalCount("--instances", "Instances of engine vllm.", 1);
    private readonly Option<string?> _csv = Setting.Text("--csv", "OUT", "Write one line a request, times in ms.");
    private readonly Terminal _terminal;

    public SimulateDistServeCommand(Terminal terminal)
        : base("distserve", "Simulate DistServe or vLLM on A100s with DistServe's fitted costs.")
    {
        _terminal = terminal;
        foreach (var option in new Option[]
        {
            _engine, _model, _workload, _tpPrefill, _ppPrefill, _tpDecode, _ppDecode, _prefills, _decodes, _instances,
            _csv,
        })
        {
            Add(option);
        }

        _workload.Required = true;
        SetAction(Run);
    }

    private int Run(ParseResult result)
    {
        var options = new DistServeOptions
        {
            Engine = result.GetValue(_engine) ?? "distserve",
            Model = result.GetValue(_model) ?? "13b",
            Prefill = new InstanceShape(_tpPrefill.Read(result), _ppPrefill.Read(result)),
            Decode = new InstanceShape(_tpDecode.Read(result), _ppDecode.Read(result)),
            PrefillInstances = result.GetValue(_instances) ?? _prefills.Read(result),
            DecodeInstances = _decodes.Read(result),
        };
        var timings = DistServeSimulator.Run(options, WorkloadFile.Load(result.GetValue(_workload)!));
        if (result.GetValue(_csv) is { } path)
        {
            File.WriteAllLines(path, timings.Select(Line).Prepend("req_id,first_token_latency,tpot,total_latency"));
        }

        var table = new Table().AddColumns("ms", "mean", "p50", "p90", "p99", "max");
        AddRow(table, "TTFT", [.. timings.Select(t => t.FirstTokenMs)]);
        AddRow(table, "TPOT", [.. timings.Select(t => t.TpotMs)]);
        AddRow(table, "total", [.. timings.Select(t => t.TotalMs)]);
        _terminal.Ansi().Write(table);
        return ExitCode.Success;
    }

    private static string Line(RequestTiming t) =>
        string.Create(CultureInfo.InvariantCulture, $"{t.Request},{t.FirstTokenMs:R},{t.TpotMs:R},{t.TotalMs:R}");

    private static void AddRow(Table table, string name, double[] values)
    {
        if (values.Length == 0) return;
        Array.Sort(values);
        string Cell(double value) => value.ToString("0.00", CultureInfo.InvariantCulture);
        // Linear between the two nearest ranks, as numpy's default.
        double Percentile(double share)
        {
            var rank = share * (values.Length - 1);
            var below = (int)rank;
            return values[below] + ((rank - below) * (values[Math.Min(below + 1, values.Length - 1)] - values[below]));
        }

        table.AddRow(
            name, Cell(values.Average()), Cell(Percentile(0.5)), Cell(Percentile(0.9)), Cell(Percentile(0.99)),
            Cell(values[^1]));
    }
}
