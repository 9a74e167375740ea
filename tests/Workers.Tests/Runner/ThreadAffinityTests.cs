using Krewe.Abstractions;

namespace Krewe.Workers.Tests.Runner;

/// <summary>Binding is Linux': elsewhere the tests see the refusal.</summary>
public sealed class ThreadAffinityTests
{
    [Fact]
    public void Every_thread_of_a_bound_crew_may_use_its_own_core_only()
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Throws<KreweException>(() => ThreadAffinity.AllowedCores());
            return;
        }

        var allowed = ThreadAffinity.AllowedCores();
        int[] cores = [.. allowed.Reverse().Take(2)];
        var program = new CoresProgram(cores.Length);
        // A thread of its own: the caller is bound as well and would stay so.
        var caller = new Thread(() =>
        {
            using var crew = new ComputeThreads(cores.Length, cores, ownSharesOnly: true);
            crew.Run(program);
        });
        caller.Start();
        caller.Join();
        Assert.Equal(cores.Select(core => new[] { core }), program.Seen.Select(seen => seen.ToArray()));
        Assert.Equal(allowed, ThreadAffinity.AllowedCores());
    }

    [Fact]
    public void A_core_that_is_not_there_is_refused_by_number()
    {
        var error = Assert.Throws<KreweException>(() => new ComputeThreads(1, [1023]));
        Assert.Equal(ErrorCode.InvalidOptions, error.Code);
        if (OperatingSystem.IsLinux()) Assert.Contains("core 1023", error.Message, StringComparison.Ordinal);
    }

    private sealed class CoresProgram(int threads) : IStepProgram
    {
        public IReadOnlyList<int>[] Seen { get; } = new IReadOnlyList<int>[threads];

        public int PhaseCount => 1;

        public void RunPhase(int phase, int share) => Seen[share] = ThreadAffinity.AllowedCores();
    }
}
