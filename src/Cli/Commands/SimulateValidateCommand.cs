using System.CommandLine;
using System.Globalization;
using Krewe.Simulation;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary><c>krewe simulate validate</c>: simulates published measurements and says how far off it is.</summary>
internal sealed class SimulateValidateCommand : Command
{
    private readonly UsualOption<int> _every = Setting.Count("--every", "Only every N-th measurement.", 1, 1);
    private readonly Option<string?> _csv = Setting.Text("--csv", "OUT", "Write one line a measurement.");
    private readonly Terminal _terminal;

    public SimulateValidateCommand(Terminal terminal)
        : base("validate", "Simulate published measurements of served models; print the errors.")
    {
        _terminal = terminal;
        Add(_every);
        Add(_csv);
        SetAction((result, cancellation) => Task.FromResult(Run(result, cancellation)));
    }

    private int Run(ParseResult result, CancellationToken cancellation)
    {
        var every = _every.Read(result);
        var measured = MeasuredRun.LoadServed().Where((_, i) => i % every == 0).ToArray();
        var runs = new ValidatedRun[measured.Length];
        _terminal.AnsiError().Progress().Start(progress =>
        {
            var task = progress.AddTask("measurements", maxValue: measured.Length);
            Parallel.For(0, measured.Length, new ParallelOptions { CancellationToken = cancellation }, i =>
            {
                runs[i] = ServedValidation.Run(measured[i], EngineProfile.Find(measured[i].Engine));
                task.Increment(1);
            });
        });
        PrintServed(ServedValidation.Summarize(runs));
        PrintReplays();
        if (result.GetValue(_csv) is { } path)
        {
            File.WriteAllLines(path, runs.Select(Line).Prepend(
                "configuration,tp,input_tokens,output_tokens,clients,ttft_ms,tpot_ms,simulated_ttft_ms,"
                + "simulated_tpot_ms"));
        }

        return ExitCode.Success;
    }

    private void PrintServed(IReadOnlyList<ValidatedConfiguration> configurations)
    {
        var table = new Table().AddColumns("configuration", "measurements", "TTFT error", "TPOT error");
        foreach (var c in configurations)
        {
            table.AddRow(
                c.Name, Text($"{c.Runs}"), Text($"{100 * c.TtftError:0.0} %"), Text($"{100 * c.TpotError:0.0} %"));
        }

        _terminal.Ansi().Write(table);
    }

    private void PrintReplays()
    {
        var table = new Table().AddColumns(
            "vLLM 0.19, Llama-3.1-8B", "requests", "TTFT p50 ms", "simulated", "error", "TPOT p50 ms", "simulated",
            "error");
        foreach (var r in VllmReplay.RunAll())
        {
            table.AddRow(
                r.Gpu, Text($"{r.Requests}"), Text($"{r.Ttft.Measured:0}"), Text($"{r.Ttft.Simulated:0}"),
                Text($"{100 * r.TtftError:0.0} %"), Text($"{r.Tpot.Measured:0.0}"), Text($"{r.Tpot.Simulated:0.0}"),
                Text($"{100 * r.TpotError:0.0} %"));
        }

        _terminal.Ansi().Write(table);
    }

    private static string Line(ValidatedRun r) => string.Create(CultureInfo.InvariantCulture,
        $"{r.Measured.Configuration},{r.Measured.TensorParallel},{r.Measured.InputTokens},{r.Measured.OutputTokens}"
        + $",{r.Measured.Clients},{r.Measured.TtftMs},{r.Measured.TpotMs},{r.TtftMs:0.##},{r.TpotMs:0.###}");

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
