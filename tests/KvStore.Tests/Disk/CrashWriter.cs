using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;

namespace Krewe.KvStore.Tests.Disk;

/// <summary>The process that dies: puts, replaces and deletes for ever, and says on its output what is done.</summary>
internal static class CrashWriter
{
    public const int Keys = 48;

    public static SsdStoreOptions Options(string directory) => Blocks.Options(directory, Blocks.Odd, 32);

    public static async Task<int> RunAsync(string directory, string path, int seed)
    {
        var device = new BlockDeviceOptions { Path = Enum.Parse<IoPath>(path) };
        await using var store = await SsdObjectStore.OpenAsync(Options(directory), device);
        var output = Console.Out;
        var done = 0;
        await Parallel.ForEachAsync(Enumerable.Range(0, 4), async (writer, token) =>
        {
            var random = new Random(seed * 4 + writer);
            while (true)
            {
                var key = Blocks.Key(random.Next(Keys));
                if (random.Next(5) == 0) await store.DeleteAsync(key);
                else await store.PutAsync(key, Blocks.Payload(key, Blocks.Odd), 0, random.Next(2) == 0, token);
                if (Interlocked.Increment(ref done) % 20 == 0) await output.WriteLineAsync("20 done");
            }
        });
        return 0;
    }
}
