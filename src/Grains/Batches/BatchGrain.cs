using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.Control.Batches;
using Orleans;
using Orleans.Runtime;

namespace Krewe.Grains;

/// <inheritdoc cref="IBatchGrain"/>
internal sealed class BatchGrain(
    [PersistentState("batch", GrainStorageNames.Requests)] IPersistentState<BatchState> stored,
    TimeProvider time) : Grain, IBatchGrain
{
    public async Task CreateAsync(BatchRecord record)
    {
        stored.State.Record = record;
        await stored.WriteStateAsync();
        await Open.AddAsync(record.BatchId);
    }

    public Task<BatchRecord?> GetAsync()
    {
        if (stored.State.Record is null) DeactivateOnIdle();
        return Task.FromResult(stored.State.Record);
    }

    public async Task<BatchRecord> ChangeAsync(BatchChange change)
    {
        var before = stored.State.Record
            ?? throw new KreweException(ErrorCode.NotFound, $"There is no batch '{this.GetPrimaryKeyString()}'.");
        var after = BatchMachine.Apply(before, change, time.GetUtcNow());
        if (after == before) return after;
        stored.State.Record = after;
        await stored.WriteStateAsync();
        if (BatchMachine.IsOver(after.Status)) await Open.RemoveAsync(after.BatchId);
        return after;
    }

    public async Task<bool> ClaimAsync(string siloId, TimeSpan life)
    {
        if (stored.State.Record is not { } record || BatchMachine.IsOver(record.Status)) return false;
        var now = time.GetUtcNow();
        if (stored.State.Owner is { } owner && owner != siloId && stored.State.OwnedUntil > now) return false;
        (stored.State.Owner, stored.State.OwnedUntil) = (siloId, now + life);
        await stored.WriteStateAsync();
        return true;
    }

    private IOpenBatchesGrain Open => GrainFactory.GetGrain<IOpenBatchesGrain>("open");
}

/// <inheritdoc cref="IOpenBatchesGrain"/>
internal sealed class OpenBatchesGrain(
    [PersistentState("open", GrainStorageNames.Requests)] IPersistentState<OpenBatchesState> stored)
    : Grain, IOpenBatchesGrain
{
    public Task AddAsync(string batchId)
    {
        if (stored.State.Batches.Contains(batchId)) return Task.CompletedTask;
        stored.State.Batches = stored.State.Batches.Add(batchId);
        return stored.WriteStateAsync();
    }

    public Task RemoveAsync(string batchId)
    {
        stored.State.Batches = stored.State.Batches.Remove(batchId);
        return stored.WriteStateAsync();
    }

    public Task<ImmutableArray<string>> GetAsync() => Task.FromResult(stored.State.Batches);
}

/// <summary>Null record = no such batch.</summary>
[GenerateSerializer]
internal sealed class BatchState
{
    [Id(0)] public BatchRecord? Record { get; set; }

    /// <summary>The silo that runs it; null = none.</summary>
    [Id(1)] public string? Owner { get; set; }

    [Id(2)] public DateTimeOffset OwnedUntil { get; set; }
}

[GenerateSerializer]
internal sealed class OpenBatchesState
{
    [Id(0)] public ImmutableArray<string> Batches { get; set; } = [];
}
