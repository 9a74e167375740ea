using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>A call would wait for a request that itself waits for this call.</summary>
/// <remarks>Orleans lets such a call run into its response timeout; here it fails at once and says why.</remarks>
public sealed class GrainCallCycleException : OrleansException
{
    private GrainCallCycleException(string message)
        : base(message)
    {
    }

    internal static GrainCallCycleException Of(Work call, Work blocker)
    {
        List<string> cycle = [call.Describe()];
        for (var work = call.Parent; work is not null; work = work.Parent)
        {
            cycle.Insert(0, work.Describe());
            if (work == blocker)
                break;
        }

        return new GrainCallCycleException(
            $"Call cycle: {string.Join(" -> ", cycle)}. The last call would wait for the first one. Make a method "
            + "[AlwaysInterleave] or [OneWay], or the grain class [Reentrant].");
    }
}
