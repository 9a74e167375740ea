using Krewe.Cli.Watching;

namespace Krewe.Cli.Tests.Watching;

public sealed class TopScreenTests
{
    [Fact]
    public void A_screen_has_the_silo_its_figures_and_a_line_a_worker()
    {
        var text = Screen(State(decoded: 1500), State(decoded: 1000), seconds: 2);

        Assert.Contains("krewe tiny on silo-0", text, StringComparison.Ordinal);
        Assert.Contains("goodput 3.5 req/s", text, StringComparison.Ordinal);
        Assert.Contains("TTFT p95 1.50 s of 1.00 s", text, StringComparison.Ordinal);
        Assert.Contains("queue 4 of 20", text, StringComparison.Ordinal);
        var line = Assert.Single(text.Split('\n'), one => one.Contains("decode-0", StringComparison.Ordinal));
        Assert.Contains("draining", line, StringComparison.Ordinal);
        Assert.Contains("250", line, StringComparison.Ordinal);
        Assert.Contains("█████▒▒▒··  50 %", line, StringComparison.Ordinal);
        Assert.Contains("25 %", line, StringComparison.Ordinal);
    }

    [Fact]
    public void A_name_is_text_and_no_markup()
    {
        var state = State(1) with { SiloId = "silo[red]" };

        Assert.Contains("silo[red]", Screen(state, null, 1), StringComparison.Ordinal);
    }

    [Fact]
    public void A_narrow_terminal_has_a_line_a_worker_too()
    {
        var text = Screen(State(decoded: 1500), State(decoded: 1000), seconds: 2, columns: 80);

        Assert.All(text.Split('\n'), one => Assert.InRange(one.TrimEnd().Length, 0, 80));
        var line = Assert.Single(text.Split('\n'), one => one.Contains("decode-0", StringComparison.Ordinal));
        Assert.Contains("draining", line, StringComparison.Ordinal);
        Assert.Contains("250", line, StringComparison.Ordinal);
        Assert.Contains("50 %", line, StringComparison.Ordinal);
    }

    private static string Screen(TopState state, TopState? before, double seconds, int columns = 160)
    {
        var history = new TopHistory([1, 2], new Dictionary<string, double?[]>
        {
            ["good"] = [null, 3.5],
            ["ttft_p95"] = [10, 1500],
        });
        using var output = new StringWriter();
        var console = new Terminal(TextReader.Null, output, TextWriter.Null).Ansi();
        console.Profile.Width = columns;
        console.Write(TopScreen.Of(state, history, before, seconds, columns));
        return output.ToString();
    }

    private static TopState State(ulong decoded) => new()
    {
        SiloId = "silo-0",
        Version = "0.1.0",
        Model = "tiny",
        GrainHost = "Embedded",
        UptimeSeconds = 100,
        Draining = false,
        TtftSloMs = 1000,
        Inside = 20,
        Queued = 4,
        Workers =
        [
            new TopWorker("drain", new TopWorkerState
            {
                Id = "decode-0",
                Role = "decode",
                State = "draining",
                Load = new TopLoad
                {
                    TotalBlocks = 100,
                    EvictableBlocks = 30,
                    PinnedBlocks = 50,
                    RunningSequences = 5,
                    WaitingSequences = 1,
                    PrefillTokens = 7,
                    DecodeTokens = decoded,
                    StepMs = 5.5f,
                    MigratedIn = 1,
                    MigratedOut = 2,
                    Tiers = new TopTiers { HostBlocks = 1, HostCapacity = 4, DiskBlocks = 0, DiskCapacity = 0 },
                },
            }),
        ],
    };
}
