namespace Krewe.Simulation.Tests.Cells;

public sealed class Workers_go_and_come : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public static TheoryData<CellMode> Modes => new(Enum.GetValues<CellMode>());

    public void Dispose() => File.Delete(_path);

    [Theory]
    [MemberData(nameof(Modes))]
    public void Every_request_goes_on_elsewhere_and_no_load_is_left_counted(CellMode mode)
    {
        var random = new SeededRandom(5);
        var outages = new List<WorkerOutage>();
        for (var ms = 500L; ms < 15_000; ms += random.Between(50, 400))
        {
            // One of each role stays.
            var worker = random.Chance(500) ? 0 : 2;
            outages.Add(new WorkerOutage(ms * 1_000_000, worker, random.Chance(600)));
        }

        outages.Add(new WorkerOutage(16_000_000_000, 0, true));
        outages.Add(new WorkerOutage(16_000_000_000, 2, true));
        var trace = Cells.Mixed(300, 20);
        var calm = new CellSimulator(Cells.Options(mode, 2, 2), trace).Run();

        var report = new CellSimulator(Cells.Options(mode, 2, 2) with { Outages = outages }, trace).Run();

        Assert.Equal(0, report.Rejected);
        Assert.Equal(trace.Requests.Select(r => r.OutputTokens), report.Outcomes.Select(o => o.OutputTokens));
        Assert.True(report.TotalMs.Mean > calm.TotalMs.Mean);
    }

    [Fact]
    public void With_nobody_left_requests_wait_for_a_while_and_end_in_a_refusal()
    {
        var options = Cells.Options(CellMode.Chunked, 0) with
        {
            Cost = new Cells.Linear(10, 0, 0),
            Outages = [new WorkerOutage(50_000_000, 0, false)],
        };

        var report = new CellSimulator(
            options, Cells.Of(new TraceRequest(0, 10, 100), new TraceRequest(60_000_000, 10, 1))).Run();

        Assert.Equal(2, report.Rejected);
        Assert.InRange(report.VirtualSeconds, 20, 22);
    }

    [Fact]
    public void A_request_that_lost_its_worker_computes_its_tokens_again_and_only_the_rest()
    {
        var options = Cells.Options(CellMode.Chunked, 0) with
        {
            Cost = new Cells.Linear(10, 0, 0),
            Outages = [new WorkerOutage(55_000_000, 0, false), new WorkerOutage(1_055_000_000, 0, true)],
        };

        var outcome = new CellSimulator(options, Cells.Of(new TraceRequest(0, 10, 20))).Run().Outcomes[0];

        // Five tokens until 55 ms; looked for a worker at once and a second later; one step for each other token.
        Assert.Equal(10, outcome.TtftNs / 1e6, 6);
        Assert.Equal(1055 + (15 * 10), outcome.TotalNs / 1e6, 6);
    }

    [Fact]
    public void A_preemption_trace_moves_nodes_through_the_workers()
    {
        File.WriteAllLines(_path, [
            "t_ms,event,node,nodes_after", "1000,add,a,1", "2000,add,b,2", "3000,remove,a,1", "4000,add,c,2",
            "5000,add,d,3",
        ]);

        var outages = OutageReader.Read(_path, 2, 10);

        Assert.Equal(
            [(0, 1, false), (0, 0, true), (100, 1, true), (200, 0, false), (300, 0, true)],
            outages.Select(o => ((int)(o.AtNs / 1_000_000), o.Worker, o.Up)));
    }

    [Theory]
    [InlineData("t_ms,event\n1,add", ":1:", "no column 'node'")]
    [InlineData("t_ms,event,node\n5,add,a\n4,add,b", ":3:", "ascend")]
    [InlineData("t_ms,event,node\n5,leave,a", ":2:", "'leave'; it must be add or remove")]
    [InlineData("t_ms,event,node\n5,add,a\n6,add,a", ":3:", "added twice")]
    public void A_bad_preemption_trace_is_named(string content, string line, string reason)
    {
        File.WriteAllText(_path, content);

        var error = Assert.Throws<SimulationException>(() => OutageReader.Read(_path, 2));

        Assert.Contains(_path + line, error.Message);
        Assert.Contains(reason, error.Message);
    }
}
