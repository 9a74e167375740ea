using Krewe.Abstractions;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Hosting;
using Krewe.Silo.Streams;
using Microsoft.Extensions.Logging;
using Orleans;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>Starts requests on the cluster.</summary>
internal sealed class Generator(
    ServedModel model, RequestStreams streams, IGrainFactory grains, ILogger<Generator> log)
{
    /// <summary>
    /// Plans and dispatches the request. Throws <see cref="KreweException"/> when the cluster refuses it; then nothing
    /// is held. Whoever gets a generation must dispose of it: that frees everything it holds.
    /// </summary>
    public async Task<Generation> StartAsync(GenerationRequest request)
    {
        var stream = streams.Open(request.Spec.RequestId);
        var grain = grains.GetGrain<IRequestGrain>(request.Spec.RequestId);
        var generation = new Generation(request, stream, grain, model.Folder.Tokenizer, streams, log);
        try
        {
            await grain.StartAsync(request.Spec);
            return generation;
        }
        catch (KreweException)
        {
            // Refused: the grain holds nothing of it. A cancel could hit another request that has the id.
            streams.Close(stream);
            throw;
        }
        catch
        {
            await generation.DisposeAsync();
            throw;
        }
    }
}
