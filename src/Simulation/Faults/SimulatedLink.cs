namespace Krewe.Simulation.Faults;

/// <summary>
/// One connection between two processes: delayed, in order like TCP, and delivering nothing once closed. While faults
/// are on, messages are also lost, doubled and reordered, which TCP never
/// does: the machines must not rely on it. Time
/// in ns.
/// </summary>
internal sealed class SimulatedLink(FaultWorld world, string one, string other)
{
    private long _last;

    public bool IsOpen { get; private set; } = true;

    /// <summary>Delivers <paramref name="message"/> later, unless the link is closed by then.</summary>
    public void Send(Action message)
    {
        if (!IsOpen) return;
        var plan = world.Plan;
        if (world.Faulty && world.Random.Chance(plan.LossPerMille)) return;
        var copies = world.Faulty && world.Random.Chance(plan.DuplicatePerMille) ? 2 : 1;
        for (; copies > 0; copies--) Deliver(message, plan);
    }

    public void Close() => IsOpen = false;

    private void Deliver(Action message, FaultPlan plan)
    {
        var at = world.Now + world.Random.Between(10_000, plan.DelayMsMax * 1_000_000);
        if (world.Faulty && world.Random.Chance(plan.ReorderPerMille))
        {
            at += world.Random.Between(0, plan.DelayMsMax * 5_000_000);
        }
        else
        {
            at = Math.Max(at, _last);
            _last = at;
        }

        Arrive(at, message);
    }

    // What is sent into a partition is retransmitted until it heals: late, not lost.
    private void Arrive(long at, Action message) => world.Events.At(at, () =>
    {
        if (!IsOpen) return;
        var healed = world.HealedAt(one, other);
        if (healed > world.Now) Arrive(healed, message);
        else message();
    });
}
