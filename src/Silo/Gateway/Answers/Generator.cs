using Krewe.Abstractions;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Hosting;
using Krewe.Silo.Streams;
using Microsoft.Extensions.Logging;
using Orleans;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>Starts requests on the cluster.</summary>
internal sealed class Generator(
    ServedModel model, RequestStreams streams, IGrainFactory grains, TimeProvider time, ILogger<Generator> log)
{
    /// <summary>
    /// Plans and dispatches the request. Throws <see cref="KreweException"/> when the cluster refuses it; then nothing
    /// is held. Whoever gets a run must dispose of it: that frees everything it holds.
    /// </summary>
    /// <param name="resumes">The request ran before, and its owner is gone.</param>
    public async Task<AnswerRun> StartAsync(GenerationRequest request, bool resumes = false)
    {
        List<RequestStream> opened = [];
        try
        {
            var isWatched = request is { Origin: not null, IsBatch: false };
            foreach (var spec in request.Specs) opened.Add(streams.Open(spec, isWatched));
        }
        catch
        {
            foreach (var stream in opened) streams.Close(stream);
            throw;
        }

        var run = new AnswerRun(
            request, opened, [.. request.Specs.Select(spec => grains.GetGrain<IRequestGrain>(spec.GrainKey))], model,
            streams, time, log);
        await run.StartAsync((grain, spec) => resumes ? grain.ResumeAsync(spec) : grain.StartAsync(spec));
        return run;
    }
}
