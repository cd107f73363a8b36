#!/bin/sh
# hadoop, hdfs, yarn, mapred: from a command to its Java main class. It stands in for the scripts of a Hadoop
# distribution, which Maven does not carry. `cluster.py fetch` puts it into bin/ under these four names.
#
#   JAVA_HOME, HADOOP_CONF_DIR, HADOOP_LOG_DIR   must be set (`cluster.py env` prints them)
#   HADOOP_CLIENT_OPTS, HADOOP_DAEMON_OPTS       more options for the JVM
set -eu
HADOOP_HOME=$(cd "$(dirname "$0")/.." && pwd)
export HADOOP_HOME HADOOP_CONF_DIR HADOOP_LOG_DIR
# containers inherit these, see yarn.nodemanager.env-whitelist
export HADOOP_COMMON_HOME="$HADOOP_HOME" HADOOP_HDFS_HOME="$HADOOP_HOME" HADOOP_YARN_HOME="$HADOOP_HOME" HADOOP_MAPRED_HOME="$HADOOP_HOME"

program=$(basename "$0")
command=${1:?usage: $program COMMAND [ARGUMENTS]}
shift
daemon=
case $program:$command in
  *:version)            class=util.VersionInfo ;;
  hadoop:fs | hdfs:dfs) class=fs.FsShell ;;
  hadoop:jar)           class=util.RunJar ;;
  hdfs:dfsadmin)        class=hdfs.tools.DFSAdmin ;;
  hdfs:haadmin)         class=hdfs.tools.DFSHAAdmin ;;
  hdfs:fetchdt)         class=hdfs.tools.DelegationTokenFetcher ;;
  mapred:job)           class=mapred.JobClient ;;
  yarn:application)     class=yarn.client.cli.ApplicationCLI; set -- application "$@" ;;  # wants the word itself
  yarn:node)            class=yarn.client.cli.NodeCLI ;;
  hdfs:namenode)        class=hdfs.server.namenode.NameNode; daemon=yes ;;
  hdfs:datanode)        class=hdfs.server.datanode.DataNode; daemon=yes ;;
  hdfs:httpfs)          class=fs.http.server.HttpFSServerWebServer; daemon=yes ;;
  yarn:resourcemanager) class=yarn.server.resourcemanager.ResourceManager; daemon=yes ;;
  yarn:nodemanager)     class=yarn.server.nodemanager.NodeManager; daemon=yes ;;
  mapred:historyserver) class=mapreduce.v2.hs.JobHistoryServer; daemon=yes ;;
  *) echo "$program: no command $command here" >&2; exit 64 ;;
esac

# Java 17 closes its own packages to reflection, which Hadoop 3.4 and its libraries still need
opens=
for package in io lang lang.reflect math net text util util.concurrent util.zip; do
  opens="$opens --add-opens=java.base/java.$package=ALL-UNNAMED"
done
opens="$opens --add-opens=java.base/sun.security.util=ALL-UNNAMED --add-opens=java.base/sun.security.x509=ALL-UNNAMED"
# none lives long or works hard: the quick compiler alone, or most of the time goes into compiling
options="-Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
if [ "$daemon" ]; then
  options="$options -XX:+ExitOnOutOfMemoryError ${HADOOP_DAEMON_OPTS-}"
else
  options="$options -Xshare:auto ${HADOOP_CLIENT_OPTS-}"
fi
# `exec`, so that the process id is the daemon's; options hold no blanks
# shellcheck disable=SC2086
exec "$JAVA_HOME/bin/java" $opens $options -Djava.net.preferIPv4Stack=true \
  "-Dhadoop.home.dir=$HADOOP_HOME" "-Dhadoop.log.dir=$HADOOP_LOG_DIR" "-Dyarn.log.dir=$HADOOP_LOG_DIR" \
  "-Dhttpfs.home.dir=$HADOOP_HOME" "-Dhttpfs.config.dir=$HADOOP_CONF_DIR" "-Dhttpfs.log.dir=$HADOOP_LOG_DIR" \
  "-Dhttpfs.temp.dir=$HADOOP_LOG_DIR" \
  -cp "$HADOOP_CONF_DIR:$HADOOP_HOME/share/web:$HADOOP_HOME/share/hadoop/*" "org.apache.hadoop.$class" "$@"
