using Krewe.Abstractions;

namespace Krewe.Cli.Tests.Serving;

public sealed class WorkerArgumentsTests
{
    [Fact]
    public void A_child_reads_back_what_serve_meant()
    {
        var options = new WorkerOptions
        {
            WorkerId = "decode-3",
            Role = WorkerRole.Decode,
            ModelDirectory = "some folder/with space",
            ServedModelName = "the model",
            Silos = ["127.0.0.1:7001", "127.0.0.1:7002"],
            Device = WorkerDevice.Reference,
            Cuda = new CudaOptions
            {
                LibraryDirectories = ["/some/lib", "other lib"],
                Devices = [2, 3],
                Products = CudaProducts.CublasLt,
                Attention = CudaAttention.Wgmma,
                CacheDirectory = "kept",
                KvMemory = CudaKvMemory.Virtual,
                Graphs = false,
            },
            Threads = 3,
            PinnedCores = [0, 2, 5],
            Weights = ServedWeights.Int8,
            KvMemoryBytes = 12345678,
            KvFormat = KvFormat.F16,
            BlockTokens = 32,
            StepBudgetTokens = 77,
            InterTokenSlo = TimeSpan.FromMilliseconds(40),
            Eviction = EvictionPolicy.Lru,
            MaxRunningSequences = 9,
            PrefixCache = false,
            KvTiers = new KvTierOptions
            {
                HostBytes = 87654321,
                DiskDirectories = ["a folder", "another"],
                DiskBytes = 7654321,
                DiskQueueDepth = 17,
                Eviction = KvEviction.Cost,
                Checkpoint = true,
            },
            DataHost = "10.0.0.7",
            DataPort = 7100,
            KvTransport = KvTransport.Tcp,
            KvShareFolder = "shared with others",
            DataLinkBytesPerSecond = 37 * 125_000,
            DataConnections = 3,
            DrainGrace = TimeSpan.FromSeconds(7.5),
            BlockingMigration = true,
            TestRowTime = TimeSpan.FromMicroseconds(12.5),
            TestHoldFile = "hold",
        };

        Assert.Equivalent(options, ReadBack(options), strict: true);
    }

    [Fact]
    public void What_is_left_open_stays_open()
    {
        var options = new WorkerOptions
        {
            WorkerId = "prefill-0",
            Role = WorkerRole.Prefill,
            ModelDirectory = "m",
            Silos = ["127.0.0.1:7001"],
        };

        Assert.Equivalent(options, ReadBack(options), strict: true);
    }

    [Theory]
    [InlineData("9400", "127.0.0.1:9400")]
    [InlineData("0.0.0.0:9400", "0.0.0.0:9400")]
    public void The_place_of_metrics_is_an_address_or_a_port_of_this_machine(string given, string meant)
    {
        var result = KreweCommand.Build(Terminal.Standard()).Parse(["worker", "--silo", "a:1", "--metrics", given]);
        var options = Assert.IsType<WorkerCommand>(result.CommandResult.Command).Read(result);

        Assert.Equal(meant, options.Metrics!.ToString());
        Assert.Equal(meant, ReadBack(options).Metrics!.ToString());
    }

    private static WorkerOptions ReadBack(WorkerOptions options)
    {
        var result = KreweCommand.Build(Terminal.Standard()).Parse([.. WorkerArguments.From(options), "--supervised"]);

        Assert.Empty(result.Errors);
        return Assert.IsType<WorkerCommand>(result.CommandResult.Command).Read(result);
    }
}
