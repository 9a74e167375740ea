namespace Krewe.KvStore.Tests;

/// <summary>A directory that goes away with the test.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("krewe-kv-").FullName;

    public string Segment(int number = 0) => System.IO.Path.Combine(Path, $"segment-{number:D6}.kv");

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
