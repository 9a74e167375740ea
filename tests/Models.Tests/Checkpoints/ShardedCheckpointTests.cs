namespace Krewe.Models.Tests.Checkpoints;

public sealed class ShardedCheckpointTests : IDisposable
{
    private const string Index = "model.safetensors.index.json";

    private readonly TemporaryFolder _folder = new();

    public ShardedCheckpointTests()
    {
        WriteShard("s1.safetensors", "a", 1);
        WriteShard("s2.safetensors", "b", 2);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Tensors_come_from_the_shard_that_the_index_names()
    {
        _folder.Write(Index, """
            {"metadata":{"total_size":8},"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}}
            """);
        using var checkpoint = Checkpoint.Open(_folder.FullPath);
        Assert.Equal(["a", "b"], checkpoint.Names.Order());
        var value = new float[1];
        checkpoint.Get("b", 1).CopyTo(value);
        Assert.Equal(2, value[0]);
    }

    [Theory]
    [InlineData("""{"a":"s1.safetensors","b":"s3.safetensors"}""", "the file s3.safetensors, which holds the tensor b")]
    [InlineData("""{"a":"s1.safetensors","b":"s1.safetensors"}""", "the tensor b should be in s1.safetensors")]
    [InlineData("""{"a":"s2.safetensors","b":"s2.safetensors"}""", "the tensor a should be in s2.safetensors")]
    [InlineData("""{"a":"../s1.safetensors"}""", "plain file name")]
    [InlineData("""{"a":"s1.safetensors","a":"s2.safetensors"}""", "listed twice")]
    [InlineData("{}", "lists no tensor")]
    [InlineData("[]", "must be an object")]
    [InlineData("""{"a":1}""", "weight_map.a")]
    public void A_wrong_index_is_refused_by_name(string map, string part)
    {
        _folder.Write(Index, $$"""{"weight_map":{{map}}}""");
        Assert.Contains(part, Assert.Throws<ModelException>(() => Checkpoint.Open(_folder.FullPath)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_in_two_shards_is_refused()
    {
        WriteShard("s2.safetensors", "a", 2);
        _folder.Write(Index, """{"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}}""");
        Assert.Contains("The tensor a is in s2.safetensors and in s1.safetensors",
            Assert.Throws<ModelException>(() => Checkpoint.Open(_folder.FullPath)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void After_a_refusal_the_shards_are_closed_again()
    {
        _folder.Write(Index, """{"weight_map":{"a":"s1.safetensors","b":"s1.safetensors"}}""");
        Assert.Throws<ModelException>(() => Checkpoint.Open(_folder.FullPath));
        // An exclusive open fails while a map of this process is still there.
        using var exclusive = new FileStream(
            Path.Combine(_folder.FullPath, "s1.safetensors"), FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        Assert.True(exclusive.CanWrite);
    }

    private void WriteShard(string file, string tensor, float value) => _folder.Write(file, SafetensorsFixture.File(
        $$"""{"{{tensor}}":{"dtype":"F32","shape":[1],"data_offsets":[0,4]} }""", BitConverter.GetBytes(value)));
}
