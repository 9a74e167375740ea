using Krewe.Abstractions;
using Krewe.Control.Migration;
using Orleans;

namespace Krewe.Grains;

/// <summary>The shell of <see cref="MigrationPool"/>: one turn per report.</summary>
internal sealed class PoolGrain(MigrationPolicy policy, DrainPolicy drains, TimeProvider time) : Grain, IPoolGrain
{
    private readonly MigrationPool _pool = new(policy, drains);

    /// <summary>Two activations do not begin in the same tick: one follows the death of the other's silo.</summary>
    private readonly long _life = time.GetUtcNow().UtcTicks;

    public Task<PoolAnswer> ExchangeAsync(PoolReport report)
    {
        var orders = _pool.Exchange(report, time.GetUtcNow());
        return Task.FromResult(new PoolAnswer(orders, _pool.Wishes, _life));
    }

    public Task SetWishAsync(string workerId, WorkerWish wish)
    {
        _pool.SetWish(workerId, wish);
        return Task.CompletedTask;
    }
}
