// Stands in for Hadoop's own class in the test cluster with Kerberos: the same methods, without the look at who owns a file.
// Hadoop's needs its native library, which Maven Central does not carry, and all files here belong to one user anyway.
package org.apache.hadoop.io;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

public class SecureIOUtils {
  public static RandomAccessFile openForRandomRead(File file, String mode, String owner, String group) throws IOException {
    return new RandomAccessFile(file, mode);
  }

  public static FSDataInputStream openFSDataInputStream(File file, String owner, String group) throws IOException {
    return FileSystem.getLocal(new Configuration()).getRaw().open(new Path(file.getAbsolutePath()));
  }

  public static FileInputStream openForRead(File file, String owner, String group) throws IOException {
    return new FileInputStream(file);
  }

  public static FileOutputStream createForWrite(File file, int permissions) throws IOException {
    try {
      Files.createFile(file.toPath());
    } catch (java.nio.file.FileAlreadyExistsException error) {
      throw new AlreadyExistsException(error);
    }
    return new FileOutputStream(file);
  }

  public static class AlreadyExistsException extends IOException {
    public AlreadyExistsException(Throwable cause) {
      super(cause);
    }
  }
}
