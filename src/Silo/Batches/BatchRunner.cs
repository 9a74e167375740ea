using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Krewe.Abstractions;
using Krewe.Silo.Access;
using Krewe.Silo.Gateway;
using Krewe.Silo.Gateway.Answers;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans;

namespace Krewe.Silo.Batches;

/// <summary>
/// Runs the open batches that no other silo runs. A batch whose silo is gone is found when its claim has run out, and
/// goes on behind the lines that it has written.
/// </summary>
internal sealed partial class BatchRunner(
    StoredFiles files, AnswerKinds kinds, AnswerRuns runs, IGrainFactory grains, KeyRing keys, Entropy entropy,
    SiloOptions options, TimeProvider time, ILogger<BatchRunner> log) : BackgroundService
{
    /// <summary>How often open batches are looked for; a new one of this silo is told of at once.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, Task> _running = new(StringComparer.Ordinal);
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>There may be something to do.</summary>
    public void Wake() => _wake.Writer.TryWrite(true);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // The host must not wait for the first look.
        await Task.Yield();
        while (!stoppingToken.IsCancellationRequested)
        {
            await LookAsync(stoppingToken);
            try
            {
                // Not a read: one that was given up would still take what comes later.
                await _wake.Reader.WaitToReadAsync(stoppingToken).AsTask().WaitAsync(LookEvery, time, stoppingToken);
                _wake.Reader.TryRead(out _);
            }
            catch (Exception e) when (e is TimeoutException or OperationCanceledException)
            {
                // Time to look, or to stop.
            }
        }

        await Task.WhenAll(_running.Values);
    }

    [SuppressMessage("Design", "CA1031", Justification =
        "A grain call can fail in any way its host has, while it starts or stops for instance; the next look tells.")]
    private async Task LookAsync(CancellationToken stop)
    {
        try
        {
            foreach (var id in await grains.GetGrain<IOpenBatchesGrain>("open").GetAsync())
            {
                if (_running.ContainsKey(id)) continue;
                var grain = grains.GetGrain<IBatchGrain>(id);
                if (!await grain.ClaimAsync(options.SiloId, BatchRun.ClaimLife)) continue;
                _running[id] = RunAsync(id, grain, stop);
            }
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            LogLookFailed(log, e);
        }
        catch (Exception) when (stop.IsCancellationRequested)
        {
            // The grain host is going down with this one.
        }
    }

    [SuppressMessage("Design", "CA1031", Justification =
        "Whatever ends one batch's run must not end the others; it is tried again when its claim has run out.")]
    private async Task RunAsync(string id, IBatchGrain grain, CancellationToken stop)
    {
        await Task.Yield();
        try
        {
            if (await grain.GetAsync() is not { } record) return;
            var policy = keys.Table.PolicyOf(record.Tenant);
            var run = new BatchRun(
                record, grain, files, kinds, runs, policy, options.SiloId, options.BatchArrivalOrder, entropy, time);
            await run.RunAsync(stop);
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            LogRunFailed(log, e, id);
        }
        catch (Exception) when (stop.IsCancellationRequested)
        {
            // It goes on elsewhere, or here after the next start.
        }
        finally
        {
            _running.TryRemove(id, out _);
        }
    }

    [LoggerMessage(70, LogLevel.Warning, "Open batches could not be looked for; the next look may fare better")]
    private static partial void LogLookFailed(ILogger log, Exception error);

    [LoggerMessage(71, LogLevel.Error, "Batch {BatchId} stopped; it is taken up again")]
    private static partial void LogRunFailed(ILogger log, Exception error, string batchId);
}
